import Glibc
import TandemAPI
import TandemClient
import YAMLDocuments

/// `get -w`: what there is, as `get` shows it, and then each object that changes, as it is then.
struct GetWatch {
    private let kinds: [ObjectKind]
    private let names: [ObjectKind: Set<String>]
    private let namespace: String?
    private let format: Get.Format

    init(_ selections: [Selection], namespace: String?, _ format: Get.Format) {
        var names: [ObjectKind: Set<String>] = [:]
        var kinds: [ObjectKind] = []
        for selection in selections {
            guard case .object(let kind) = selection.kind else { continue }
            if !kinds.contains(kind) { kinds.append(kind) }
            names[kind, default: []].formUnion(selection.names)
        }
        (self.kinds, self.names, self.namespace, self.format) = (kinds, names, namespace, format)
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
                for kind in kinds { show(objects.filter { $0["kind"] == .string(kind.rawValue) }, kind, &widths) }
            case .added(let object), .modified(let object), .deleted(let object):
                guard let kind = object["kind"]?.stringValue.flatMap(ObjectKind.init), isWanted(object, kind) else {
                    continue
                }
                if listed != nil { listed?.append(object) } else { show([object], kind, &widths) }
            }
        }
    }

    private func isWanted(_ object: JSONValue, _ kind: ObjectKind) -> Bool {
        if kind.isNamespaced, let namespace, object["metadata"]?["namespace"]?.stringValue != namespace { return false }
        let names = names[kind] ?? []
        return names.isEmpty || names.contains(Get.name(object))
    }

    private func show(_ objects: [JSONValue], _ kind: ObjectKind, _ widths: inout [ObjectKind: [Int]]) {
        guard !objects.isEmpty else { return }
        let objects = objects.sorted { Get.key($0) < Get.key($1) }
        switch format {
        case .table, .wide:
            let columns = Columns.of(
                .object(kind), isWide: format == .wide, withNamespace: kind.isNamespaced && namespace == nil)
            var lines = objects.map { object in columns.map { $0.text(object) } }
            // Titles once: rows that come later stand below them.
            if widths[kind] == nil { lines.insert(columns.map(\.title), at: 0) }
            let needed = Output.widths(lines)
            let known = widths[kind] ?? needed
            widths[kind] = zip(known, needed).map { max($0, $1) }
            print(Output.lines(lines, widths: widths[kind] ?? needed), terminator: "")
        case .name: for object in objects { print("\(kind.word)/\(Get.name(object).visible)") }
        case .yaml: for object in objects { print("---\n" + YAMLDocuments.write(object), terminator: "") }
        case .json: for object in objects { print(Output.json(object)) }
        }
        flush()
    }
}

/// Standard output, of which a pipe would get nothing before it is full.
private func flush() { fflush(nil) }
