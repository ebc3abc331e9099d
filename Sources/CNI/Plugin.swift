import Addressing
import OpenSSLTLS
import TandemAPI

/// The CNI IPAM plugin without its process: variables and a configuration in, the output out.
///
/// Blocks while the server is asked, at most as long as `ipam.timeoutMs` says. The process must ignore SIGPIPE.
public struct Plugin {
    public struct Outcome: Sendable {
        /// For standard output; empty where the specification has nothing to print.
        public var output: [UInt8]
        public var isSuccess: Bool
    }

    /// `variable` looks up an environment variable; `read` is asked for the configuration at most once.
    public static func run(variable: (String) -> String?, read: () throws(CNIError) -> [UInt8]) -> Outcome {
        run(variable: variable, read: read, asking: nil)
    }

    /// `server` is asked instead of those of the configuration.
    package static func run(
        variable: (String) -> String?, read: () throws(CNIError) -> [UInt8], asking server: (any PluginServer)?
    ) -> Outcome {
        // An error is said in the version that was asked for, as far as that is known.
        var version = CNIVersion.latest
        do throws(CNIError) {
            let text = Result { () throws(CNIError) in try read() }
            let asked = (try? text.get()).flatMap { try? JSONValue(parsing: $0) }?["cniVersion"]?.stringValue
            version = asked.flatMap { CNIVersion(rawValue: $0) } ?? version
            let invocation = try Invocation(variable)
            if invocation.command == .version {
                return Outcome(output: try versions(asked: (try? text.get()) ?? []), isSuccess: true)
            }
            let json = try parse(try text.get())
            version = try NetworkConfiguration.version(of: json)
            guard version >= invocation.command.since else {
                throw CNIError(
                    .incompatibleVersion,
                    "\(invocation.command.rawValue) is part of CNI since \(invocation.command.since.rawValue); "
                        + "cniVersion is \(version.rawValue)")
            }
            let configuration = try NetworkConfiguration(json, version: version, for: invocation.command)
            let plugin = try Plugin(invocation, configuration, asking: server)
            return Outcome(output: try plugin.run().visibleJSON, isSuccess: true)
        } catch {
            return Outcome(output: error.json(version).visibleJSON, isSuccess: false)
        }
    }

    private static func parse(_ text: [UInt8]) throws(CNIError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: text)
        } catch {
            throw CNIError(.decodingFailure, "the configuration on standard input is no JSON: \(error)")
        }
    }

    /// Runtimes ask with a version, with `{}`, or with nothing at all.
    private static func versions(asked text: [UInt8]) throws(CNIError) -> [UInt8] {
        let asked = text.isEmpty ? nil : try parse(text)["cniVersion"]?.stringValue
        let answer: JSONValue = [
            "cniVersion": .string(asked.flatMap { CNIVersion(rawValue: $0) }?.rawValue ?? CNIVersion.latest.rawValue),
            "supportedVersions": .array(CNIVersion.allCases.map { .string($0.rawValue) }),
        ]
        return answer.text.bytes
    }

    // MARK: Inside

    let invocation: Invocation
    let configuration: NetworkConfiguration
    let server: any PluginServer
    let node: String

    private init(
        _ invocation: Invocation, _ configuration: NetworkConfiguration, asking server: (any PluginServer)?
    ) throws(CNIError) {
        self.invocation = invocation
        self.configuration = configuration
        if let server {
            self.server = server
        } else {
            let deadline = MonotonicInstant.now.advanced(milliseconds: configuration.ipam.timeoutMilliseconds)
            self.server = try ServerConnection(configuration.ipam, deadline: deadline)
        }
        if let configured = configuration.ipam.node {
            node = configured
        } else {
            node = try Self.node(of: self.server)
        }
    }

    /// NAME of the user `system:node:NAME`.
    private static func node(of server: any PluginServer) throws(CNIError) -> String {
        let user = server.user ?? ""
        let prefix = "system:node:"
        guard user.hasPrefix(prefix), user.utf8.count > prefix.utf8.count else {
            let subject = server.nameFault.map { "nobody (its subject \($0))" } ?? "\"\(user)\""
            throw .configuration(
                "ipam.node", "missing, and the certificate is made out to \(subject), not to \(prefix)NAME")
        }
        return String(user.dropFirst(prefix.count))
    }

    private func run() throws(CNIError) -> [UInt8] {
        switch invocation.command {
        case .add: return try add()
        case .delete: try delete()
        case .check: try check()
        case .status: try status()
        case .collectGarbage: try collectGarbage()
        case .version: break
        }
        return []
    }
}
