#!/bin/bash
# CPU time of a whole ADD: tandem-cni, statically linked, beside Debian's host-local (containernetworking-plugins), turn
# by turn in one run. Each starts with no allocation; host-local looks through a file for every address that it gave out.
#
#   Tests/Benchmarks/cni.sh [ADDS [ROUNDS]]
set -eu
cd "$(dirname "$0")/../.."
adds=${1:-50}
rounds=${2:-5}
host_local=/usr/lib/cni/host-local
[ -x $host_local ] || { echo "host-local is missing: apt-get install containernetworking-plugins" >&2; exit 1; }
make -s cni >/dev/null
swift build -c release --product tandemd >/dev/null
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
certs/generate.sh "$work/certs" >/dev/null
"$(swift build -c release --show-bin-path)/tandemd" --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 \
    --cluster-cidr=10.244.0.0/16,fd00:10:244::/48 --node-cidr-mask-size-ipv4=16 --secure-port=9445 \
    --data-dir="$work/data" --tls-cert-file="$work/certs/server.crt" --tls-private-key-file="$work/certs/server.key" \
    --client-ca-file="$work/certs/ca.crt" --log-level=error &
cat >"$work/tandem.json" <<CONF
{"cniVersion":"1.0.0","name":"pods","type":"bridge","ipam":{"type":"tandem-cni","server":"127.0.0.1:9445",
 "caFile":"$work/certs/ca.crt","certFile":"$work/certs/node-n1.crt","keyFile":"$work/certs/node-n1.key",
 "routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}
CONF
cat >"$work/host-local.json" <<CONF
{"cniVersion":"1.0.0","name":"pods","type":"bridge","ipam":{"type":"host-local","dataDir":"$work/host-local",
 "ranges":[[{"subnet":"10.1.0.0/16"}],[{"subnet":"fd00:1::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}
CONF

# measure NAME PROGRAM CONFIGURATION ROUND
measure() {
    python3 - "$@" "$adds" <<'PYTHON'
import resource, subprocess, sys
name, program, path, tag, adds = *sys.argv[1:5], int(sys.argv[5])
configuration = open(path, "rb").read()
def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
before = used()
for index in range(adds):
    variables = dict(CNI_COMMAND="ADD", CNI_CONTAINERID=f"c{tag}-{index}", CNI_NETNS="/x", CNI_IFNAME="eth0", CNI_PATH="/x")
    subprocess.run([program], input=configuration, env=variables, stdout=subprocess.DEVNULL, check=True)
print(f"{name:12} {(used() - before) / adds * 1000:6.2f} ms of CPU an ADD")
PYTHON
}
for round in $(seq "$rounds"); do
    rm -rf "$work/host-local"
    measure host-local $host_local "$work/host-local.json" "$round"
    measure tandem-cni .build-static/release/tandem-cni "$work/tandem.json" "$round"
done
