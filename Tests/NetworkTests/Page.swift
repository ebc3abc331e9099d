import Foundation
import Testing

/// The documentation's page on a node: its files and commands are used as they stand, but for directories, and for copies between hosts.
struct Page {
    private let text: String
    /// Has `/etc/tandem` of each host in a directory of the host's name, and `/root/tandem-ca` of the server.
    let directory: String

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardized.path

    init(directory: String) throws {
        text = try String(
            contentsOfFile: "\(Self.root)/Sources/TandemServer/Documentation.docc/DualStackNode.md", encoding: .utf8)
        self.directory = directory
    }

    /// The authority, and all certificates that it signed.
    var authority: String { "\(directory)/ca" }

    /// The block of a language that has a text in it, for a host. The hosts share a file system: what goes to another by ssh or scp stays
    /// on it.
    func block(_ language: String, with part: String, on host: String) throws -> String {
        let blocks = text.components(separatedBy: "```\(language)\n").dropFirst().map {
            $0.components(separatedBy: "```")[0]
        }
        return try #require(blocks.first { $0.contains(part) }, "no block with \(part)")
            .replacingOccurrences(of: "ssh root@192.0.2.1 ", with: "").replacingOccurrences(of: "scp ", with: "cp ")
            .replacingOccurrences(of: "root@192.0.2.1:", with: "")
            .replacingOccurrences(of: "/etc/tandem", with: "\(directory)/\(host)")
            .replacingOccurrences(of: "/root/tandem-ca", with: authority)
            .replacingOccurrences(of: "/var/lib/tandem", with: "\(directory)/data")
    }

    /// A command of the unit, with its environment, as systemd would run it.
    func unitCommand(_ name: String) throws -> String {
        let unit = try block("ini", with: "[Unit]", on: "n1").components(separatedBy: "\n")
        let environment = unit.filter { $0.hasPrefix("Environment=") }.map { "export " + $0.dropFirst(12) }
        let command = try #require(unit.first { $0.hasPrefix("\(name)=") }).dropFirst(name.count + 1)
        return (environment + [command.replacingOccurrences(of: "$$", with: "$")]).joined(separator: "\n")
    }
}
