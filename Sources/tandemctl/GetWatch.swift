import Glibc
import TandemAPI
import TandemClient

/// `get -w`: the existing objects, as `get` shows them, and then each object that changes, in its new state.
struct GetWatch {
    private let kinds: [ObjectKind]
    private let names: [ObjectKind: Set<String>]
    private let namespace: String?
    private let filters: Filters
    private let shown: TableOptions

    init(_ selections: [Selection], namespace: String?, _ filters: Filters, _ shown: TableOptions) {
        var names: [ObjectKind: Set<String>] = [:]
        var kinds: [ObjectKind] = []
        for selection in selections {
            guard case .object(let kind) = selection.kind else { continue }
            if !kinds.contains(kind) { kinds.append(kind) }
            names[kind, default: []].formUnion(selection.names)
        }
        (self.kinds, self.names, self.namespace, self.filters, self.shown) = (kinds, names, namespace, filters, shown)
    }

    func run(_ client: TandemClient) async throws {
        var listed: [JSONValue]? = []
        var widths: [ObjectKind: [Int]] = [:]
        var params: JSONValue = ["kinds": .array(kinds.map { .string($0.rawValue) })]
        if let namespace, kinds.allSatisfy(\.isNamespaced) { params["namespace"] = .string(namespace) }
        for try await change in client.watch(params) {
            switch change {
            case .restarted: listed = []
            case .bookmark:
                guard let objects = listed else { continue }
                listed = nil
                for kind in kinds { try show(objects.filter { $0["kind"] == .string(kind.rawValue) }, kind, &widths) }
            case .added(let object), .modified(let object), .deleted(let object):
                guard let kind = object["kind"]?.stringValue.flatMap(ObjectKind.init), isWanted(object, kind) else {
                    continue
                }
                if listed != nil { listed?.append(object) } else { try show([object], kind, &widths) }
            }
        }
    }

    private func isWanted(_ object: JSONValue, _ kind: ObjectKind) -> Bool {
        if kind.isNamespaced, let namespace, object["metadata"]?["namespace"]?.stringValue != namespace { return false }
        let names = names[kind] ?? []
        return (names.isEmpty || names.contains(object.shownName)) && filters.match(object)
    }

    private func show(_ objects: [JSONValue], _ kind: ObjectKind, _ widths: inout [ObjectKind: [Int]]) throws {
        guard !objects.isEmpty else { return }
        let objects = objects.sorted { $0.sortKey < $1.sortKey }
        for object in objects {
            guard let text = try shown.format.text(of: object, named: ["\(kind.word)/\(object.shownName)"]) else {
                break
            }
            if case .yaml = shown.format { print("---") }
            print(text, terminator: "")
        }
        if try shown.format.text(of: .null, named: []) == nil {
            let columns = shown.columns(of: .object(kind), withNamespace: kind.isNamespaced && namespace == nil)
            var lines = objects.map { object in columns.map { $0.text(object) } }
            // Titles once: rows that come later stand below them.
            if widths[kind] == nil, !shown.noHeaders { lines.insert(columns.map(\.title), at: 0) }
            let needed = Output.widths(lines)
            let known = widths[kind] ?? needed
            widths[kind] = zip(known, needed).map { max($0, $1) }
            print(Output.lines(lines, widths: widths[kind] ?? needed), terminator: "")
        }
        flush()
    }
}

/// Standard output, of which a pipe would get nothing before it is full.
private func flush() { fflush(nil) }
