import Addressing
import CNI
import TandemAPI

extension FuzzTarget {
    /// Whatever a runtime and a server say, the plugin ends with an answer by the specification: a result with at least one address, or an
    /// error with a code and a message.
    ///
    /// The first byte is the command. Parts with zero bytes between follow: the configuration, `CNI_ARGS`, the container's ID, and the lines
    /// that the server answers.
    static func cni(_ input: UnsafeRawBufferPointer) {
        guard let first = input.first else { return }
        let parts = input.dropFirst().split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
        func text(_ index: Int) -> String? {
            guard parts.indices.contains(index), !parts[index].isEmpty else { return nil }
            return String(decoding: parts[index], as: UTF8.self)
        }
        let commands = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"]
        let command = commands[Int(first) % commands.count]
        let variables = [
            "CNI_COMMAND": command, "CNI_CONTAINERID": text(2), "CNI_NETNS": "/netns", "CNI_IFNAME": "eth0",
            "CNI_ARGS": text(1),
        ]
        let outcome = Plugin.run(
            variable: { variables[$0] ?? nil }, read: { () throws(CNIError) in parts.first ?? [] },
            asking: WrittenServer(parts.dropFirst(3)))
        check(outcome, of: command)
    }

    private static func check(_ outcome: Plugin.Outcome, of command: String) {
        let output = try? JSONValue(parsing: outcome.output)
        precondition(!outcome.output.contains(UInt8(ascii: "\n")), "an output of several lines")
        guard outcome.isSuccess else {
            let code = output?["code"]?.intValue ?? 0
            let known = [1, 2, 4, 5, 6, 7, 11, 50]
            precondition(known.contains(code) || (101...116).contains(code), "an error of code \(code)")
            precondition(output?["msg"]?.stringValue?.isEmpty == false, "an error without a message")
            precondition(output?["cniVersion"]?.stringValue.flatMap { CNIVersion(rawValue: $0) } != nil)
            return
        }
        switch command {
        case "ADD":
            let addresses = output?["ips"]?.arrayValue ?? []
            precondition(!addresses.isEmpty, "a result without an address")
            for address in addresses {
                let parts = address["address"]?.stringValue?.split(separator: "/") ?? []
                precondition(parts.count == 2 && IPAddress(String(parts[0])) != nil, "an address that is none")
            }
        case "VERSION": precondition(output?["supportedVersions"] != nil)
        default: precondition(outcome.output.isEmpty, "\(command) has no result")
        }
    }
}

/// A server that says the given lines, and nothing more.
private final class WrittenServer: PluginServer {
    let nameFault: String? = nil
    private var lines: ArraySlice<[UInt8]>
    private var lastID = 0

    init(_ lines: ArraySlice<[UInt8]>) { self.lines = lines }

    let user: String? = "system:node:n1"

    func call(_ method: TandemAPI.Method, _ params: JSONValue) throws(CNIError) -> JSONValue {
        lastID += 1
        guard let line = lines.popFirst() else { throw CNIError(.tryAgainLater, "the server says no more") }
        switch try ServerAnswer(line, to: lastID) {
        case .result(let result): return result
        case .error(let error): throw CNIError(error)
        }
    }
}
