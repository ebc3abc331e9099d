import Foundation
import ServerSupport
import Synchronization
import TestSupport

/// Hosts on one Ethernet, each a network namespace of its own: nothing of it leaves the machine, and all of it goes away
/// with this object.
final class Hosts {
    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// Names are the machine's: they are told from another process's, and from those of other tests at the same time.
    private let prefix = "tandem-\(getpid())-\(Hosts.made.wrappingAdd(1, ordering: .relaxed).newValue)-"
    private static let made = Atomic(0)
    private let programs = URL(fileURLWithPath: ServerProcess.program).deletingLastPathComponent().path
    private var names: [String] = []

    /// The missing tool or right of a machine for this; nil where it can be done.
    static let obstacle: String? = {
        guard getuid() == 0 else { return "network namespaces need root" }
        for program in ["/usr/lib/cni/bridge", "/usr/lib/cni/ptp"]
        where !FileManager.default.isExecutableFile(atPath: program) {
            return "\(program) is missing; docker/deps.sh --tests installs it"
        }
        for program in ["ip", "nft", "iptables", "ip6tables", "ping", "python3"]
        where Command.run("sh", ["-c", "command -v \(program)"]).status != 0 {
            return "\(program) is missing; docker/deps.sh --tests installs it"
        }
        let name = "tandem-\(getpid())-probe"
        let made = Command.run("sh", ["-ec", "ip netns add \(name); ip netns exec \(name) nft list ruleset"])
        _ = Command.run("ip", ["netns", "del", name])
        return made.status == 0 ? nil : "no network namespaces here: \(made.errors)"
    }()

    deinit { remove() }

    /// Takes all of them away; for a test whose last reference may go on another thread, which the end of the process does not wait for.
    func remove() {
        for name in names { _ = Command.run("ip", ["netns", "del", name]) }
        names = []
    }

    func namespace(_ host: String) -> String { prefix + host }
    func path(_ host: String) -> String { "/run/netns/\(prefix)\(host)" }

    /// A host with no more than loopback; its addresses are usable at once.
    func add(_ host: String) throws {
        names.append(namespace(host))
        try require("sh", ["-ec", "ip netns add \(namespace(host)); ip -n \(namespace(host)) link set lo up"])
        try run(
            host,
            """
            echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
            echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
            """)
    }

    /// A host on the Ethernet, with 192.0.2.NUMBER and 2001:db8::NUMBER, that passes packets on.
    func addNode(_ host: String, _ number: Int) throws {
        if names.isEmpty {
            try add("lan")
            try run("lan", "ip link add lan type bridge mcast_snooping 0; ip link set lan up")
        }
        try add(host)
        try require(
            "sh",
            [
                "-ec",
                """
                ip -n \(namespace(host)) link add eth0 type veth peer name \(host) netns \(namespace("lan"))
                ip -n \(namespace("lan")) link set \(host) master lan up
                """,
            ])
        try run(
            host,
            """
            echo 1 > /proc/sys/net/ipv4/ip_forward
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            ip link set eth0 up
            ip address add 192.0.2.\(number)/24 dev eth0
            ip address add 2001:db8::\(number)/64 dev eth0 nodad
            """)
    }

    /// Runs a script on a host, in the project's directory, with its programs at hand; throws unless it ends well.
    @discardableResult
    func run(_ host: String, _ script: String, input: String? = nil) throws -> String {
        let result = attempt(host, script, input: input)
        guard result.status == 0 else {
            throw Failed(description: "\(host): \(script)\n\(result.output)\(result.errors)")
        }
        return result.output
    }

    func attempt(_ host: String, _ script: String, input: String? = nil) -> Command.Result {
        Command.run("ip", command(host) + [script], input: input)
    }

    func command(_ host: String) -> [String] {
        [
            "netns", "exec", namespace(host), "env", "-C", Page.root, "PATH=\(programs):\(Self.path)", "sh", "-ec",
        ]
    }

    private static let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin"

    private func require(_ name: String, _ arguments: [String]) throws {
        let result = Command.run(name, arguments)
        guard result.status == 0 else { throw Failed(description: "\(arguments): \(result.errors)") }
    }
}

/// Answers each connection to port 7000 of a host, IPv4 or IPv6, with the address that it came from and the input.
final class Echo {
    private let process = Process()

    private static let program = """
        import socket
        server = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
        print("ready", flush=True)
        while True:
            client, address = server.accept()
            sender = address[0].removeprefix("::ffff:")
            client.sendall(sender.encode() + b" " + client.recv(100))
            client.close()
        """

    init(_ hosts: Hosts, on host: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip", "netns", "exec", hosts.namespace(host), "python3", "-c", Self.program]
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        try Children.start(process)
        guard LineReader(output.fileHandleForReading).next() == "ready" else {
            throw Hosts.Failed(description: "no echo on \(host)")
        }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

extension Hosts {
    /// The address that an echo at `address` saw this host's connection come from.
    func source(of host: String, at address: String) throws -> String {
        let program = """
            import socket
            server = socket.create_connection(("\(address)", 7000), timeout=10)
            server.sendall(b"hello")
            print(server.makefile().read())
            """
        let answer = try run(host, "python3 -c '\(program)'").split(whereSeparator: \.isWhitespace)
        guard answer.count == 2, answer[1] == "hello" else { throw Failed(description: "no echo: \(answer)") }
        return String(answer[0])
    }

    func ping(_ host: String, _ address: String, seconds: Int = 10) -> Bool {
        attempt(host, "ping -c 1 -W \(seconds) \(address)").status == 0
    }
}
