import Foundation
import Glibc
import NIOCore
import TandemAPI
import TandemClient

/// Date, host and program versions of a run, without which its figures mean nothing.
struct RunDescription: Sendable {
    /// UTC, as in RFC 3339.
    let date = Date().formatted(.iso8601)
    let host = Self.host
    let system = Self.system
    let processor = Self.processor
    let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    /// Of the server that was asked; nil where that says none.
    var serverVersion: String?

    /// Asks the server for its version, unless it need not be a server of Tandem. Throws `ClientError`.
    init(_ plan: LoadPlan) async throws {
        guard !plan.ignoresAnswers else { return }
        let client = try await TandemClient.connect(plan.target)
        serverVersion = try? await client.call(.discover)["info"]?["version"]?.stringValue
        await client.close()
    }

    private static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        return gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) : "unknown"
    }

    private static var system: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "unknown" }
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
    }

    private static var processor: String? {
        let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// Names and texts, for people.
    var rows: [(name: String, text: String)] {
        [
            ("date", date), ("host", "\(host), \(system)"),
            ("processors", "\(processors)" + (processor.map { ", \($0)" } ?? "")),
            ("versions", "tandem-load \(BuildInfo.text), tandemd \(serverVersion ?? "unknown")"),
        ]
    }

    func write(to json: inout JSONValue) {
        json["date"] = .string(date)
        json["host"] = [
            "name": .string(host), "system": .string(system), "processors": .number(String(processors)),
            "processor": processor.map { .string($0) } ?? .null,
        ]
        json["versions"] = [
            "tandem-load": .string(BuildInfo.text), "tandemd": serverVersion.map { .string($0) } ?? .null,
        ]
    }
}

extension LoadPlan {
    /// Every setting of a run that bears on its figures, by the names of the flags.
    var settings: [(name: String, value: JSONValue)] {
        var all: [(name: String, value: JSONValue)] = [
            ("server", .string(target.servers.map { "\($0.host):\($0.port)" }.joined(separator: ","))),
            ("workload", .string(workload.rawValue)), ("transport", .string(transport.rawValue)),
            ("connections", .number(String(connections))),
        ]
        if let rate {
            all.append(("rate", .number(Decimal.fixed(rate, 0))))
        } else {
            all.append(("pipeline", .number(String(pipeline))))
        }
        all += [("warm-up", Self.seconds(warmUp.nanoseconds)), ("duration", Self.seconds(duration.nanoseconds))]
        switch workload {
        case .batch: all.append(("batch-size", .number(String(batchSize))))
        case .mixed: all.append(("shares", .string(shares.map(String.init).joined(separator: ","))))
        case .churn: all.append(("fill", .number(Decimal.fixed(fill, 1))))
        case .pods: all.append(node.map { ("node", .string($0)) } ?? ("nodes", .number(String(nodes))))
        case .services, .handshakes: break
        }
        return all
    }

    private static func seconds(_ nanoseconds: Int64) -> JSONValue {
        .number(Decimal.fixed(Double(nanoseconds) / 1e9, 1))
    }
}
