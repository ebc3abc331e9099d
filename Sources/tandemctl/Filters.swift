import ArgumentParser
import TandemAPI
import TandemClient

/// Which objects of a kind are meant, where they are not named.
struct Filters: ParsableArguments {
    @Option(
        name: [.customShort("l"), .customLong("selector")],
        help: ArgumentHelp(
            "Objects with these labels: app=web,tier!=db,\"env in (a,b)\",app,!app.", valueName: "selector"),
        transform: LabelSelector.init)
    var labels: LabelSelector?

    @Option(
        name: .customLong("field-selector"),
        help: ArgumentHelp("Objects whose members have these values: spec.nodeName=n1.", valueName: "selector"),
        transform: FieldSelector.init)
    var fields: FieldSelector?

    var areGiven: Bool { labels != nil || fields != nil }

    /// Throws `ValidationError` where they do not apply to the selected kinds.
    func check(_ selections: [Selection]) throws {
        guard areGiven else { return }
        if selections.contains(where: { !$0.names.isEmpty }) {
            throw ValidationError("Give names, or -l and --field-selector; not both.")
        }
        do throws(FieldSelector.Fault) {
            for selection in selections { try fields?.check(selection.kind) }
        } catch {
            throw ValidationError("--field-selector: \(error).")
        }
    }

    func match(_ object: JSONValue) -> Bool {
        labels?.matches(object) ?? true && fields?.matches(object) ?? true
    }

    /// All of a kind that match, in the order of their names; nil for all namespaces.
    func list(_ kind: ObjectKind, namespace: String?, _ client: TandemClient) async throws -> [JSONValue] {
        let objects = try await client.list(
            kind.listMethod, namespace: kind.isNamespaced ? namespace : nil,
            nodeName: kind == .pod ? fields?.nodeName : nil)
        return objects.filter(match).sorted { $0.sortKey < $1.sortKey }
    }
}

extension JSONValue {
    /// Objects are in the order of namespaces and names.
    var sortKey: [String] {
        ["namespace", "name", "uid"].map { self["metadata"]?[$0]?.stringValue ?? "" }
    }

    /// Of an object, a pool or a server.
    var shownName: String { self["metadata"]?["name"]?.stringValue ?? self["name"]?.stringValue ?? "" }
}

func < (left: [String], right: [String]) -> Bool { left.lexicographicallyPrecedes(right) }
