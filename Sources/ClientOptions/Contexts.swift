import Glibc
public import TandemAPI
import YAMLDocuments

/// A server's address and a client's identity, under a name.
public struct Context: Sendable, Hashable {
    public var name: String
    /// As `--server` has it.
    public var server: String?
    /// Files are absolute paths.
    public var caFile: String?
    public var certFile: String?
    public var keyFile: String?
    public var namespace: String?

    public init(name: String) { self.name = name }

    /// The members of a context in a file.
    public static let members: [(name: String, path: any WritableKeyPath<Context, String?> & Sendable, isFile: Bool)] =
        [
            ("server", \.server, false), ("ca-file", \.caFile, true), ("cert-file", \.certFile, true),
            ("key-file", \.keyFile, true), ("namespace", \.namespace, false),
        ]
}

/// The contexts of a user: the YAML file that `TANDEM_CONFIG` names, else `~/.tandem/config`; where neither is there, those that a package
/// of the server left in `/etc/tandem/contexts.yaml`. Changes go to the user's own.
public struct Contexts: Sendable {
    public let path: String
    public var current: String?
    public var all: [Context] = []
    /// The file is there and is another program's: `TANDEM_CONFIG` names the server's settings as well.
    public let isForeign: Bool

    public subscript(name: String) -> Context? { all.first { $0.name == name } }

    /// The context that is in force where none is asked for.
    public var chosen: Context? { current.flatMap { self[$0] } }

    /// Throws `UsageError`; a file that is not there has no contexts. Blocks.
    public static func read() throws -> Contexts {
        if let path = ProcessEnvironment["TANDEM_CONFIG"] { return try Contexts(path: path) }
        var own = try Contexts(path: "\(ProcessEnvironment["HOME"] ?? ".")/.tandem/config")
        if access(own.path, F_OK) != 0, access(packaged, R_OK) == 0 {
            let contexts = try Contexts(path: packaged)
            (own.current, own.all) = (contexts.current, contexts.all)
        }
        return own
    }

    private static let packaged = "/etc/tandem/contexts.yaml"

    init(path: String) throws {
        self.path = path
        guard access(path, F_OK) == 0 else {
            isForeign = false
            return
        }
        func fault(_ problem: String) -> UsageError { UsageError("\(path): \(problem)") }
        let documents: [JSONValue]
        do {
            documents = try YAMLDocuments.read(PlainFile.read(path))
        } catch {
            throw fault("\(error)")
        }
        guard let members = documents.first?.objectValue?.members else {
            isForeign = !documents.isEmpty
            return
        }
        let known = ["contexts", "current-context"]
        let others = members.map(\.name).filter { !known.contains($0) }
        isForeign = members.count == others.count && others.allSatisfy { $0.nearest(of: known) == nil }
        guard !isForeign else { return }
        if let name = others.first { throw fault(Self.unknown(name, known)) }
        current = documents[0]["current-context"]?.stringValue
        for (index, entry) in (documents[0]["contexts"]?.arrayValue ?? []).enumerated() {
            guard let name = entry["name"]?.stringValue, !name.isEmpty else {
                throw fault("contexts[\(index)] has no name")
            }
            var context = Context(name: name)
            for (member, value) in entry.objectValue?.members ?? [] where member != "name" {
                guard let known = Context.members.first(where: { $0.name == member }) else {
                    throw fault("context \(name): \(Self.unknown(member, Context.members.map(\.name)))")
                }
                guard let text = value.stringValue else { throw fault("context \(name): \(member) must be a text") }
                context[keyPath: known.path] = known.isFile ? Self.absolute(text, from: path) : text
            }
            all.append(context)
        }
    }

    private static func unknown(_ name: String, _ known: [String]) -> String {
        "\(name.cut(toBytes: 128)): no such setting" + (name.nearest(of: known).map { "; did you mean \($0)?" } ?? "")
    }

    /// Files are looked for beside the file that names them.
    private static func absolute(_ file: String, from path: String) -> String {
        guard !file.hasPrefix("/"), let end = path.lastIndex(of: "/") else { return file }
        return "\(path[...end])\(file)"
    }

    /// As the file has it.
    public var document: JSONValue {
        var document: JSONValue = [:]
        document["contexts"] = .array(
            all.map { context in
                var entry: JSONValue = ["name": .string(context.name)]
                for member in Context.members {
                    entry[member.name] = context[keyPath: member.path].map { .string($0) }
                }
                return entry
            })
        if let current { document["current-context"] = .string(current) }
        return document
    }

    /// Replaces those of the file. Throws `UsageError`. Blocks.
    public func write() throws {
        guard !isForeign else {
            throw UsageError("\(path) has the settings of a server; name another file by TANDEM_CONFIG")
        }
        do throws(PlainFile.Fault) {
            try PlainFile.replace(path, with: YAMLDocuments.write(document))
        } catch {
            throw UsageError("\(path) can't be written: \(error)")
        }
    }
}

/// The environment's variables, of which an empty one counts as none.
public enum ProcessEnvironment {
    public static subscript(name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }
}
