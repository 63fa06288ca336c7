package text

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var jsonNames = []string{"a", "b", "n"}

func TestFields(t *testing.T) {
	for line, want := range map[string]string{
		`{}`:                                  "||",
		` { "a" : "x" , "n":-1.5e3 } ` + "\r": `"x"||-1.5e3`,
		`{"c":{"a":"inner"},"a":null}`:        `null||`,
		`{"c":"\",\"a\":\"evil","a":"x"}`:     `"x"||`,
		`{"c":"\\","a":"x"}`:                  `"x"||`,
		`{"c":["a","]}",{"b":[1]}],"b":true}`: `|true|`,
		`{"a":{"b":[{}]},"b":[]}`:             `{"b":[{}]}|[]|`,
		`{"\u0061":"x","b":"y"}`:              `|"y"|`,
		`{"A":"x"}`:                           `||`,
		`{"a":"x","a":"x"}`:                   "error twice",
		`{"c":1,"c":2}`:                       "||",
		``:                                    "error object",
		`[1]`:                                 "error object",
		`{`:                                   "error malformed",
		`{"a"}`:                               "error malformed",
		`{"a":}`:                              "error malformed",
		`{"a":"x`:                             "error malformed",
		`{"a":"x\"}`:                          "error malformed",
		`{"a":"x",}`:                          "error malformed",
		`{"a":"x" "b":"y"}`:                   "error malformed",
		`{"a":[1}`:                            "error malformed",
		`{"a":1}{"a":2}`:                      "error behind",
		`{"a":[1,2`:                           "error malformed",
	} {
		values := make([]Value, len(jsonNames))
		err := Value(line).Fields(jsonNames, values)
		if what, isError := strings.CutPrefix(want, "error "); isError {
			if err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: got %q, %v, want an error with %q", line, values, err, what)
			}
			continue
		}
		if got := string(values[0]) + "|" + string(values[1]) + "|" + string(values[2]); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", line, got, err, want)
		}
	}
}

func TestText(t *testing.T) {
	var buffer []byte
	for value, want := range map[string]string{
		`"plain"`: "plain", `""`: "", `"a\"\\\/\b\f\n\r\tz"`: "a\"\\/\b\f\n\r\tz",
		`"\u00e9\u00C9"`: "éÉ", `"\ud83d\ude00"`: "😀", `"\ud83d"`: "\uFFFD", `"\ud83dx"`: "\uFFFDx", `"\ud83d\u0041"`: "\uFFFDA",
		`"\x"`: "-", `"\u12"`: "-", `"\u12g4"`: "-", `7`: "-", `null`: "-", `"\`: "-",
	} {
		got, ok := Value(value).Text(&buffer)
		if ok != (want != "-") || ok && string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", value, got, ok, want)
		}
	}
	buffer = buffer[:0]
	first, _ := Value(`"\n1"`).Text(&buffer)
	second, _ := Value(`"\n2"`).Text(&buffer)
	if string(first) != "\n1" || string(second) != "\n2" {
		t.Errorf("two texts in one buffer: %q, %q", first, second)
	}
}

func TestElements(t *testing.T) {
	for value, want := range map[string]string{
		`[]`: "", ` [ 1 , "a,]" ,[2,3], {"x":[4]} ] `: `1 "a,]" [2,3] {"x":[4]} `, `[1`: "error", `[1 2]`: "error", `[,]`: "error", `{}`: "error",
	} {
		got := ""
		err := Value(value).Elements(func(v Value) bool { got += string(v) + " "; return true })
		if (err != nil) != (want == "error") || err == nil && got != want {
			t.Errorf("%s: got %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for value, want := range map[string]int64{"0": 0, "-7": -7, "999999999999999999": 999999999999999999} {
		if n, ok := Value(value).Int(); !ok || n != want {
			t.Errorf("%s: got %d, %v", value, n, ok)
		}
	}
	for _, value := range []string{"", "-", "1.5", "9999999999999999999", `"1"`, "null"} {
		if n, ok := Value(value).Int(); ok {
			t.Errorf("%s is taken for %d", value, n)
		}
	}
	if f, ok := Value("1600000000.25").Float(); !ok || f != 1600000000.25 {
		t.Errorf("got %v, %v", f, ok)
	}
	for _, value := range []string{"", "nan", "1e999", "inf", "0x1p4x", `"1"`} {
		if f, ok := Value(value).Float(); ok {
			t.Errorf("%s is taken for %v", value, f)
		}
	}
	if Value("443").Port() != 443 || Value("65536").Port() != 0 {
		t.Error("ports")
	}
}

// FuzzFields: whatever encoding/json takes for an object without doubles, Fields reads alike.
func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"a":"x\n","b":{"a":[1,"\"]"]},"n":12}`))
	f.Add([]byte(`{"a":"\ud83d\ude00\\","c":[{}],"b":null,"n":-0.5}`))
	f.Add([]byte(`{"a":"\\\"","a":2`))
	f.Fuzz(func(t *testing.T, line []byte) {
		values := make([]Value, len(jsonNames))
		err := Value(line).Fields(jsonNames, values)
		var buffer []byte
		for _, v := range values {
			v.Text(&buffer)
			v.Int()
			v.Float()
			_ = v.Elements(func(Value) bool { return true })
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(line, &want) != nil || want == nil || !utf8.Valid(line) {
			return
		}
		if err != nil {
			if !strings.Contains(err.Error(), "twice") {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(name string) bool { return slices.Contains(jsonNames, name) }) &&
			strings.Contains(string(line), `\u`) {
			return // a name may be written with escapes, which is none of ours
		}
		for i, name := range jsonNames {
			if string(values[i]) != string(want[name]) {
				t.Errorf("%q: %s is %s, not %s", line, name, values[i], want[name])
			}
			var s string
			if got, ok := values[i].Text(&buffer); len(values[i]) > 0 && values[i][0] == '"' && json.Unmarshal(values[i], &s) == nil && (!ok || string(got) != s) {
				t.Errorf("%s says %q, not %q", values[i], got, s)
			}
		}
	})
}

// BenchmarkFields reads an entry of the journal.
func BenchmarkFields(b *testing.B) {
	entry := []byte(`{"__CURSOR":"s=0;i=1f","__REALTIME_TIMESTAMP":"1762077600000000","_BOOT_ID":"0123456789abcdef0123456789abcdef","_TRANSPORT":"syslog","PRIORITY":"6","SYSLOG_IDENTIFIER":"sshd","_PID":"700","_UID":"0","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_SYSTEMD_UNIT":"ssh.service","_HOSTNAME":"gate","MESSAGE":"Failed password for root from 203.0.113.9 port 40000 ssh2"}`)
	names := []string{"MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_SYSTEMD_UNIT", "_UID", "_PID", "__REALTIME_TIMESTAMP", "_TRANSPORT"}
	values := make([]Value, len(names))
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Value(entry).Fields(names, values); err != nil {
			b.Fatal(err)
		}
	}
}
