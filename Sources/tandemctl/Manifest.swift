import ArgumentParser
import ClientOptions
import TandemAPI

/// One object of a file that has, or is to have, addresses.
struct Manifest: Sendable {
    var kind: ObjectKind
    var namespace: String
    var name: String
    var object: JSONValue
    /// nil for objects named on the command line.
    var place: Manifests.Place?

    /// `service/web`
    var label: String { "\(kind.word)/\(name)" }

    /// The same with its place, for messages.
    var title: String { label + (place.map { " of \($0)" } ?? "") }

    /// Its identity: of two with one path the later comes after the earlier.
    var path: String { "\(kind.word)/\(kind.isNamespaced ? namespace : "")/\(name)" }

    init(kind: ObjectKind, namespace: String, name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        object = kind.naming(name, in: namespace)[kind.word] ?? .null
    }

    /// nil for an object without addresses: of another kind, or of another API than Kubernetes' core.
    init?(_ document: JSONValue, namespace: String, _ place: Manifests.Place) throws {
        guard document.objectValue != nil else { throw UsageError("-f: \(place) is no object") }
        let label = document["metadata"]?["name"]?.stringValue.map { " \"\($0)\"" } ?? ""
        guard let word = document["kind"]?.stringValue, !word.isEmpty else {
            throw UsageError("-f: \(place): the object\(label) has no kind; write kind: Service, Node or Pod")
        }
        guard let kind = ObjectKind(rawValue: word) else {
            if let meant = ObjectKind.allCases.first(where: { $0.rawValue.lowercased() == word.lowercased() }) {
                throw UsageError(
                    "-f: \(place): kind \(word) of\(label.isEmpty ? " the object" : label) is not known; \(meant.rawValue) is"
                )
            }
            return nil
        }
        let version = document["apiVersion"]?.stringValue ?? ""
        guard version.isEmpty || version == "v1" else { return nil }
        guard let name = document["metadata"]?["name"]?.stringValue, !name.isEmpty else {
            throw UsageError("-f: \(place): the \(word) has no metadata.name")
        }
        let own = document["metadata"]?["namespace"]?.stringValue ?? ""
        self.init(kind: kind, namespace: own.isEmpty ? namespace : own, name: name)
        object = document
        self.place = place
        if kind.isNamespaced { object["metadata"]?["namespace"] = .string(self.namespace) }
    }
}

/// Where manifests are, on a command line.
struct ManifestOptions: ParsableArguments {
    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp(
            "A file of manifests, YAML or JSON, or a directory of such files; - for standard input.",
            valueName: "file|dir|-"))
    var filename: [String] = []

    @Flag(name: [.customShort("R"), .long], help: "The directories in a directory too.")
    var recursive = false

    /// Those that have addresses, in the order of the files; a word about each other one. Throws `UsageError`, also where there is none.
    func read(namespace: String) throws -> [Manifest] {
        var manifests: [Manifest] = []
        var skipped = 0
        for file in try Manifests.files(filename, isRecursive: recursive) {
            for (document, place) in try Manifests.read(file) {
                if let manifest = try Manifest(document, namespace: namespace, place) {
                    manifests.append(manifest)
                } else {
                    skipped += 1
                    let kind = document["kind"]?.stringValue ?? ""
                    let name = document["metadata"]?["name"]?.stringValue ?? ""
                    let version = document["apiVersion"]?.stringValue ?? ""
                    let api = ObjectKind(rawValue: kind) == nil ? "" : " of \(version)"
                    Output.complain("\(kind.lowercased())/\(name) skipped: kind \(kind)\(api) has no addresses")
                }
            }
        }
        let places = filename.joined(separator: ", ")
        guard !manifests.isEmpty else {
            throw UsageError(
                skipped > 0 ? "-f: no Service, Node or Pod in \(places)" : "-f: no objects in \(places)")
        }
        return manifests
    }
}
