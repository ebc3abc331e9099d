"""A whole Kubernetes node whose pods have their addresses from Tandem: how it lives, and its faults on the way.

node_test.py SCENARIO SCRATCH BIN KUBERNETES, in namespaces of its own: node-test.sh makes them. Ends with 1 at the first thing that is
not as it must be.
"""
import ipaddress
import json
import os
import socket
import sys
import time

from node import IMAGE, NODE, NODE_ADDRESSES, Fault, Machine, until

BOTH = "10.244.0.0/16,fd00:10:244::/48"


def require(condition, text):
    if not condition:
        raise Fault(text)


def families(addresses):
    return [ipaddress.ip_interface(address).version for address in addresses]


def uid(thing):
    return thing["metadata"]["uid"]


def name(thing):
    return f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"


def pod_ips(pod):
    return [entry["ip"] for entry in pod.get("status", {}).get("podIPs", [])]


def server(**more):
    """The spec of a pod that answers HTTP."""
    return {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "enableServiceLinks": False,
            "containers": [{"name": "web", "image": IMAGE, "imagePullPolicy": "Never",
                            "command": ["/bin/httpd", "-f", "-p", "[::]:80", "-h", "/www"]}], **more}


def pod(title, **more):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": title}, "spec": server(**more)}


def stateful_set(replicas):
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "serviceName": "web", "podManagementPolicy": "Parallel",
                     "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}}, "spec": server()}}}


def load_balancer():
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}],
                     "selector": {"app": "web"}}}


class Test:
    def __init__(self, machine):
        self.machine = machine
        self.begun = time.monotonic()

    def step(self, text):
        print(f"{time.monotonic() - self.begun:7.1f} s  {text}", flush=True)

    # The state by both sides

    def shown_pods(self):
        """The cluster's that hold addresses, by the uid that their runtime was given."""
        shown = {}
        for pod in self.machine.kube("pods", "--all-namespaces")["items"]:
            if pod["spec"].get("hostNetwork") or pod["status"].get("phase") in ("Succeeded", "Failed"):
                continue
            hash = pod["metadata"].get("annotations", {}).get("kubernetes.io/config.hash")
            shown[hash or uid(pod)] = (name(pod), pod_ips(pod))
        return shown

    def held_pods(self):
        held = {}
        for pod in self.machine.tandem("pods", "-A")["items"]:
            require(uid(pod) not in held, f"Tandem has two records of uid {uid(pod)}")
            require(pod["spec"]["nodeName"] == NODE, f"Tandem has {name(pod)} on {pod['spec']['nodeName']}")
            held[uid(pod)] = (name(pod), pod_ips(pod))
        return held

    def node(self):
        return self.machine.kube("node", NODE)

    def shown_cidrs(self):
        return self.node()["spec"].get("podCIDRs", [])

    def held_nodes(self):
        return {node["metadata"]["name"]: (uid(node), node["spec"].get("podCIDRs", []))
                for node in self.machine.tandem("nodes")["items"]}

    def web(self, count, without=()):
        """The StatefulSet's pods once so many run, none of them of the uids `without`: by name."""
        def running():
            self.machine.watch_over()
            pods = self.machine.kube("pods", "--selector=app=web")["items"]
            states = [(pod["metadata"]["name"], pod["status"].get("phase"), pod_ips(pod)) for pod in pods]
            ready = (len(pods) == count and not any("deletionTimestamp" in pod["metadata"] for pod in pods)
                     and all(phase == "Running" and ips for _, phase, ips in states)
                     and all(condition["status"] == "True" for pod in pods for condition in pod["status"]["conditions"])
                     and not any(uid(pod) in without for pod in pods))
            if not ready:
                raise Fault(f"{states}")
            return {pod["metadata"]["name"]: pod for pod in pods}
        return until(f"{count} pods of the StatefulSet run", running)

    def is_released(self, *uids):
        def gone():
            left = [uid for uid in uids if uid in self.held_pods()]
            require(not left, f"Tandem still has {left}")
            return True
        until("what is gone is released", gone)

    def cools(self, addresses):
        for address in addresses:
            state = json.loads(self.machine.tandemctl("lookup", address, "-o", "json"))
            state = state.get("items", [state])[0]["state"]
            require(state == "coolingDown", f"{address}, which a deleted pod had, is {state}, not coolingDown")

    def answers(self, pods, count=2):
        """Each of the pods' addresses takes a connection."""
        for pod in pods.values():
            require(len(pod_ips(pod)) == count, f"{name(pod)} has {pod_ips(pod)}")
            for ip in pod_ips(pod):
                def connected():
                    try:
                        socket.create_connection((ip, 80), 5).close()
                        return True
                    except OSError as error:
                        raise Fault(str(error))
                until(f"{name(pod)} answers at {ip}", connected)

    def agree(self, expected=(4, 6), grown=None):
        """Both sides have the same pods with the same addresses, and the same node; Tandem's own books have no fault."""
        def same():
            shown, held = self.shown_pods(), self.held_pods()
            require(shown == held, f"the cluster shows {shown}, Tandem has {held}")
            return [shown]
        [shown] = until("the cluster's pods are Tandem's", same)
        all = [ip for _, ips in shown.values() for ip in ips]
        require(len(set(all)) == len(all), f"an address is there twice: {all}")
        node, cidrs = self.node(), self.shown_cidrs()
        held = self.held_nodes()
        require(held == {NODE: (uid(node), grown or cidrs)},
                f"the cluster shows {NODE} {uid(node)} {cidrs}, Tandem has {held}")
        require(families(cidrs) == list(expected), f"the node's pod CIDRs are {cidrs}")
        for ip in all:
            require(any(ipaddress.ip_address(ip) in ipaddress.ip_network(cidr) for cidr in grown or cidrs),
                    f"{ip} is in none of the node's {grown or cidrs}")
        self.machine.tandemctl("check")
        if grown is None:
            objects = self.machine.write("cluster.json", self.machine.kubectl(
                "get", "nodes,pods", "--all-namespaces", "-o", "json"))
            self.machine.tandemctl("check", "-f", objects)
        # Those that have ended are forgotten some minutes later.
        sandboxes = self.machine.ctr("containers", "list", "-q", 'labels."io.cri-containerd.kind"==sandbox').split()
        running = [line.split()[0] for line in self.machine.ctr("tasks", "list").splitlines() if "RUNNING" in line]
        return shown, len(set(sandboxes) & set(running))

    def settled(self, **more):
        """As `agree`, once the runtime has no sandboxes running besides."""
        def only():
            shown, sandboxes = self.agree(**more)
            of_host = sum(1 for pod in self.machine.kube("pods", "-A")["items"] if pod["spec"].get("hostNetwork"))
            require(sandboxes == len(shown) + of_host, 
                    f"{len(shown)} pods, {of_host} of the host's, {sandboxes} sandboxes")
            return True
        until("no more sandboxes run than there are pods", only)

    def begin(self):
        machine = self.machine
        machine.start_control_plane()
        self.step("etcd, kube-apiserver, kube-controller-manager and kube-scheduler run")
        machine.start_tandem()
        machine.start_controller()
        machine.start_runtime()
        machine.start_kubelet()
        self.step("tandemd, tandem-controller, containerd and kubelet run")
        until("the node has pod CIDRs", self.shown_cidrs)
        until("the node is Ready", lambda: any(condition["type"] == "Ready" and condition["status"] == "True"
                                               for condition in self.node()["status"].get("conditions", [])))


class Life(Test):
    """A dual-stack node from its first day on."""

    def run(self):
        machine = self.machine
        self.begin()
        cidrs = self.shown_cidrs()
        require(families(cidrs) == [4, 6], f"the node's pod CIDRs are {cidrs}")
        self.agree()
        self.step(f"(a) the node has {' and '.join(cidrs)} from Tandem")

        machine.apply(stateful_set(3), load_balancer())
        pods = self.web(3)
        self.answers(pods)
        self.settled()
        self.step(f"(b) a StatefulSet's pods run, and answer at both of their addresses, such as {pod_ips(pods['web-0'])}")
        self.others()
        pods = self.made_again(pods)
        pods = self.server_is_down(pods)
        pods = self.node_comes_back(pods)
        pods = self.power_is_lost(pods)
        pods = self.node_is_lost(pods)
        self.end(pods)

    def others(self):
        """Pods that hold addresses in another way, or none."""
        machine = self.machine
        machine.write("static/static.json", json.dumps(pod("static")))
        machine.apply(pod("host", hostNetwork=True), pod("over", restartPolicy="Never"))
        until("the static pod has addresses", lambda: pod_ips(machine.kube("pod", f"static-{NODE}")))
        until("the pod of the host's network runs", lambda: pod_ips(machine.kube("pod", "host")) == NODE_ADDRESSES)
        until("the pod that is to end runs", lambda: machine.kube("pod", "over")["status"]["phase"] == "Running")
        self.settled()
        self.step("    a static pod is known by its config.hash, one of the host's network holds nothing")
        service = until("the Service has addresses", lambda: (
            machine.kube("service", "web")["status"]["loadBalancer"].get("ingress")))
        held = machine.tandem("services", "-A")["items"]
        require([service] == [entry["status"]["loadBalancer"]["ingress"] for entry in held],
                f"the cluster shows {service}, Tandem has {held}")
        require(families([entry["ip"] for entry in service]) == [4, 6], f"the Service has {service}")
        over = machine.kube("pod", "over")
        task = over["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        machine.ctr("tasks", "kill", "--signal=SIGKILL", task)
        until("the pod has failed", lambda: machine.kube("pod", "over")["status"]["phase"] == "Failed")
        self.is_released(uid(over))
        self.agree()
        machine.kubectl("delete", "pod", "over")
        os.remove(machine.path("static/static.json"))
        self.settled()
        self.step("    a pod that failed, and a static one that was taken away, have given back what they had")

    def made_again(self, pods):
        machine = self.machine
        old = pods["web-0"]
        machine.kubectl("delete", "pod", "web-0")
        pods = self.web(3, without=[uid(old)])
        self.is_released(uid(old))
        self.cools(pod_ips(old))
        self.answers(pods)
        self.settled()
        machine.apply(stateful_set(6))
        more = self.web(6)
        machine.apply(stateful_set(3))
        pods = self.web(3)
        self.is_released(*[uid(pod) for title, pod in more.items() if title not in pods])
        self.settled()
        self.step("(c) a pod was deleted and made again, three came and went: what they had cools, nothing is left over")
        return pods

    def server_is_down(self, pods):
        machine = self.machine
        machine.kill("tandemd")
        deleted = pods["web-1"]
        machine.kubectl("delete", "pod", "web-1", "--wait=false")
        machine.apply(pod("late"))

        def refused():
            events = machine.kube("events", "--field-selector=involvedObject.name=late")["items"]
            return [event for event in events if event["reason"] == "FailedCreatePodSandBox"]
        until("a pod is refused while tandemd is down", refused)
        # The others are not touched.
        self.answers({title: pod for title, pod in pods.items() if title != "web-1"})
        machine.start_tandem()
        until("the late pod has addresses", lambda: pod_ips(machine.kube("pod", "late")))
        pods = self.web(3, without=[uid(deleted)])
        self.is_released(uid(deleted))
        self.answers(pods)
        self.settled()
        machine.kubectl("delete", "pod", "late")
        self.settled()
        self.step("(d) tandemd was killed while a pod went and two came: once it was back all agreed")
        return pods

    def with_grace(self, seconds):
        self.machine.kill("tandem-controller")
        self.machine.grace = seconds
        self.machine.start_controller()
        until("the controller knows the cluster", lambda: self.machine.metric("tandem_controller_synced") == 1)

    def node_comes_back(self, pods):
        """Its Node was deleted and is made again within the grace time: it keeps its CIDRs and pods."""
        machine = self.machine
        self.with_grace(300)
        old, cidrs = uid(self.node()), self.shown_cidrs()
        machine.kill("kubelet")
        machine.kubectl("delete", "node", NODE)
        until("the controller saw that the node is gone", lambda: (
            machine.metric('tandem_controller_decisions_total{controller="node",action="waits",outcome="found"}')))
        machine.start_kubelet()
        until("the node is there again", lambda: uid(self.node()) != old)
        until("the node has pod CIDRs again", lambda: self.shown_cidrs())
        require(self.shown_cidrs() == cidrs, f"the node had {cidrs}, and has {self.shown_cidrs()}")
        again = self.web(3)
        require({uid(pod): pod_ips(pod) for pod in again.values()} == {uid(pod): pod_ips(pod) for pod in pods.values()},
                "the pods are others, or have other addresses")
        self.answers(again)
        self.settled()
        self.step("(e) the Node was deleted and came back within the grace time: with its CIDRs, its pods untouched")
        return again

    def power_is_lost(self, pods):
        """No DEL is ever heard of; the same pods are started anew."""
        machine = self.machine
        machine.lose_power()
        machine.start_runtime()
        machine.start_kubelet()
        before = {uid(pod): pod_ips(pod) for pod in pods.values()}

        def started():
            now = self.web(3)
            return now if all(pod["status"]["containerStatuses"][0]["restartCount"] > 0 for pod in now.values()) else None
        pods = until("the pods are started anew", started)
        require({uid(pod) for pod in pods.values()} == set(before), "the pods are others")
        self.answers(pods)
        self.settled()
        self.step("    the power was lost: the same pods run in new sandboxes, nothing is left of those before")
        return pods

    def node_is_lost(self, pods):
        """For longer than the grace time, with pods that are forced away; its old containers still run when it comes back."""
        machine = self.machine
        self.with_grace(3)
        old = uid(self.node())
        machine.kill("kubelet")
        machine.kubectl("delete", "node", NODE)
        machine.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
        gone = [uid(pod) for pod in pods.values()]
        self.is_released(*gone)

        def released():
            require(not self.held_nodes(), f"Tandem still has {self.held_nodes()}")
            return True
        until("the node is released", released)
        require(not self.held_pods(), f"Tandem has {self.held_pods()}")
        machine.tandemctl("check")
        machine.start_kubelet()
        until("the node is there again", lambda: uid(self.node()) != old)
        pods = self.web(3, without=gone)
        self.answers(pods)
        self.settled()
        self.step(f"    the node was lost: all it had was released; it came back, with {' and '.join(self.shown_cidrs())}")
        return pods

    def end(self, pods):
        machine = self.machine
        machine.kubectl("delete", "service", "web")
        machine.apply(stateful_set(0))
        machine.kubectl("delete", "pods", "--all")
        self.is_released(*[uid(pod) for pod in pods.values()])
        self.settled()
        require(not self.held_pods(), f"Tandem has {self.held_pods()}")
        require(not machine.tandem("services", "-A")["items"], "Tandem has a Service still")
        self.step("all pods and the Service are deleted: Tandem holds the node's CIDRs alone")


class Growth(Test):
    """A cluster that began with IPv4 alone."""

    def run(self):
        machine = self.machine
        self.begin()
        machine.apply(stateful_set(2))
        pods = self.web(2)
        self.answers(pods, 1)
        self.agree(expected=(4,))
        cidr, old_pods = self.shown_cidrs(), pods
        self.step(f"(f) the node has {cidr[0]} alone, and its pods one address each")

        machine.kill("tandemd")
        machine.ranges = BOTH
        machine.start_tandem()
        self.answers(pods, 1)
        old = pods["web-0"]
        machine.kubectl("delete", "pod", "web-0")
        pods = self.web(2, without=[uid(old)])
        require(families(pod_ips(pods["web-0"])) == [4, 6], f"the new pod has {pod_ips(pods['web-0'])}")
        require(pod_ips(pods["web-1"]) == pod_ips(old_pods["web-1"]), f"the old pod has {pod_ips(pods['web-1'])}")
        self.answers({"web-0": pods["web-0"]})
        grown = self.held_nodes()[NODE][1]
        require(families(grown) == [4, 6] and grown[0] == cidr[0], f"the node had {cidr}, Tandem has {grown}")
        self.agree(expected=(4,), grown=grown)
        self.step(f"    tandemd has both families: the node grew by {grown[1]}; a new pod has both, one from before what it had")

        until("the controller tells that the node has grown", lambda: (
            machine.metric("tandem_controller_grown_nodes") == 1))
        require(grown[1] in machine.log("tandem-controller"), "the controller's log does not name the second CIDR")
        patch = json.dumps({"spec": {"podCIDRs": grown}})
        refusal = None
        try:
            machine.kubectl("patch", "node", NODE, "--type=merge", f"--patch={patch}")
        except Fault as fault:
            refusal = str(fault)
        require(refusal, "Kubernetes lets a node's podCIDRs grow by now: the controller could show them")
        require("may not change podCIDR" in refusal, refusal)
        self.step("    Kubernetes can't show the second CIDR (422), and the controller tells of it")

        # Made again while the controller is away: it takes the new Node for the one that Tandem knows.
        old = uid(self.node())
        machine.kill("tandem-controller")
        machine.kill("kubelet")
        machine.kubectl("delete", "node", NODE)
        machine.start_kubelet()
        until("the node is there again", lambda: uid(self.node()) != old)
        machine.start_controller()
        until("the node has pod CIDRs again", self.shown_cidrs)
        require(self.shown_cidrs() == grown, f"the node shows {self.shown_cidrs()}, Tandem had {grown}")
        until("no node has grown any more", lambda: machine.metric("tandem_controller_grown_nodes") == 0)
        old = pods["web-1"]
        machine.kubectl("delete", "pod", "web-1")
        pods = self.web(2, without=[uid(old)])
        self.answers(pods)
        self.settled()
        self.step("    the Node was made again: it shows both, and so do all pods")


def main():
    scenario, scratch, programs, kubernetes = sys.argv[1:]
    machine = Machine(scratch, programs, kubernetes, BOTH if scenario == "life" else BOTH.split(",")[0])
    try:
        {"life": Life, "growth": Growth}[scenario](machine).run()
        machine.watch_over()
    except Fault as fault:
        for program in sorted(machine.processes):
            lines = machine.log(program).splitlines()[-12 if program.startswith("tandem") else -6:]
            print(f"--- {program}'s last lines", *lines, sep="\n", file=sys.stderr)
        print(f"wrong: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
