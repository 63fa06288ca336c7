# Two images from scratch, of nothing but static programs. The build context is the folder bin, see `make image`:
#   docker build --target komondor --file Dockerfile bin

# The test network's: a participant with an SSH service, and the attacker.
FROM scratch AS testnet
COPY komondor testnet /
ENTRYPOINT ["/testnet"]

# The product: docker run --cap-add NET_ADMIN --network host -v /var/log:/var/log:ro komondor join --open --read sshd=/var/log/auth.log
FROM scratch AS komondor
COPY komondor /
VOLUME /var/lib/komondor
EXPOSE 4001
HEALTHCHECK CMD ["/komondor", "status"]
ENTRYPOINT ["/komondor"]
CMD ["join"]
