import Addressing
import TandemAPI

/// The objects with every member as a string, a list or a text of its own: read and written member by member, without a value that stands for
/// a text. Slow and obvious, to hold the objects of the server to.
enum PlainObjects {
    /// The text that a Service is written as, once it is read.
    static func service(_ reader: inout JSONReader) throws(JSONError) -> [UInt8] {
        var metadata = Metadata()
        var spec = Spec()
        var status = Status()
        var others = Members()
        try reader.eachMember { reader, key throws(JSONError) in
            switch key {
            case "apiVersion": try reader.expect("v1")
            case "kind": try reader.expect("Service")
            case "metadata": if try !reader.skipNull() { metadata = try Metadata(&reader) }
            case "spec": if try !reader.skipNull() { spec = try Spec(&reader) }
            case "status": if try !reader.skipNull() { status = try Status(&reader) }
            case "kept": try reader.skipValue()
            default: try others.keep(key, &reader)
            }
        }
        var text = Text(kind: "Service", metadata)
        text.object("spec") { spec.write(to: &$0) }
        text.object("status") { status.write(to: &$0) }
        others.write(to: &text)
        return text.bytes
    }

    static func pod(_ reader: inout JSONReader) throws(JSONError) -> [UInt8] {
        var metadata = Metadata()
        var (nodeName, ips) = ("", [String]())
        var (spec, status, others) = (Members(), Members(), Members())
        try reader.eachMember { reader, key throws(JSONError) in
            switch key {
            case "apiVersion": try reader.expect("v1")
            case "kind": try reader.expect("Pod")
            case "metadata": if try !reader.skipNull() { metadata = try Metadata(&reader) }
            case "spec":
                if try reader.skipNull() { return }
                try reader.eachMember { reader, key throws(JSONError) in
                    if case "nodeName" = key {
                        nodeName = try reader.readStringOrNull() ?? ""
                    } else {
                        try spec.keep(key, &reader)
                    }
                }
            case "status":
                if try reader.skipNull() { return }
                var first: String?
                try reader.eachMember { reader, key throws(JSONError) in
                    switch key {
                    case "podIP": first = try reader.readNonEmptyString()
                    case "podIPs": ips = try reader.skipNull() ? [] : try reader.ips()
                    default: try status.keep(key, &reader)
                    }
                }
                ips = try pair(first, ips, reader)
            case "attachment": try reader.skipValue()
            default: try others.keep(key, &reader)
            }
        }
        var text = Text(kind: "Pod", metadata)
        text.object("spec") {
            if !nodeName.isEmpty { $0.string("nodeName", nodeName) }
            spec.write(to: &$0)
        }
        text.object("status") {
            if let first = ips.first {
                $0.string("podIP", first)
                $0.member("podIPs", Text.ips(ips))
            }
            status.write(to: &$0)
        }
        others.write(to: &text)
        return text.bytes
    }

    static func node(_ reader: inout JSONReader) throws(JSONError) -> [UInt8] {
        var metadata = Metadata()
        var cidrs: [String] = []
        var (spec, others) = (Members(), Members())
        try reader.eachMember { reader, key throws(JSONError) in
            switch key {
            case "apiVersion": try reader.expect("v1")
            case "kind": try reader.expect("Node")
            case "metadata": if try !reader.skipNull() { metadata = try Metadata(&reader) }
            case "spec":
                if try reader.skipNull() { return }
                var first: String?
                try reader.eachMember { reader, key throws(JSONError) in
                    switch key {
                    case "podCIDR": first = try reader.readNonEmptyString()
                    case "podCIDRs": cidrs = try reader.readStrings() ?? []
                    default: try spec.keep(key, &reader)
                    }
                }
                cidrs = try pair(first, cidrs, reader)
            default: try others.keep(key, &reader)
            }
        }
        var text = Text(kind: "Node", metadata)
        text.object("spec") {
            if let first = cidrs.first {
                $0.string("podCIDR", first)
                $0.strings("podCIDRs", cidrs)
            }
            spec.write(to: &$0)
        }
        others.write(to: &text)
        return text.bytes
    }

    /// The first of a list may be given alone; where both are, they agree.
    private static func pair(_ first: String?, _ list: [String], _ reader: JSONReader) throws(JSONError) -> [String] {
        guard let first else { return list }
        if list.isEmpty { return [first] }
        guard list[0] == first else { throw JSONError(.type, at: reader.position, "") }
        return list
    }
}

private struct Metadata {
    var strings: [String: String] = [:]
    var others = Members()

    init() {}

    init(_ reader: inout JSONReader) throws(JSONError) {
        var metadata = Metadata()
        try reader.eachMember { reader, key throws(JSONError) in
            switch key {
            case "namespace", "name": metadata.strings[key.string] = try reader.readStringOrNull() ?? ""
            case "uid", "resourceVersion", "creationTimestamp":
                metadata.strings[key.string] = try reader.readNonEmptyString()
            default: try metadata.others.keep(key, &reader)
            }
        }
        self = metadata
    }

    func write(to text: inout Text) {
        if let namespace = strings["namespace"], !namespace.isEmpty { text.string("namespace", namespace) }
        text.string("name", strings["name"] ?? "")
        for name in ["uid", "resourceVersion", "creationTimestamp"] {
            if let value = strings[name] { text.string(name, value) }
        }
        others.write(to: &text)
    }
}

private struct Spec {
    var strings: [String: String] = [:]
    var lists: [String: [String]] = [:]
    var texts: [String: JSONText] = [:]
    var others = Members()

    init() {}

    init(_ reader: inout JSONReader) throws(JSONError) {
        var spec = Spec()
        try reader.eachMember { reader, key throws(JSONError) in
            switch key {
            case "type", "clusterIP", "externalName", "loadBalancerIP":
                spec.strings[key.string] = try reader.readNonEmptyString()
            case "ipFamilyPolicy", "loadBalancerClass": spec.strings[key.string] = try reader.readStringOrNull()
            case "ipFamilies", "clusterIPs": spec.lists[key.string] = try reader.readStrings() ?? []
            case "ports":
                spec.texts["ports"] = nil
                if try reader.skipNull() { return }
                var ahead = reader
                try ahead.beginArray()
                var count = 0
                while try ahead.nextElement(&count) {
                    try ahead.eachMember { reader, key throws(JSONError) in
                        guard case "nodePort" = key else { return try reader.skipValue() }
                        if try !reader.skipNull() { _ = try reader.readInt() }
                    }
                }
                spec.texts["ports"] = try reader.readText()
            case "selector":
                spec.texts["selector"] = nil
                if try reader.skipNull() { return }
                guard try reader.peek() == .object else { throw reader.fault }
                spec.texts["selector"] = try reader.readText()
            default: try spec.others.keep(key, &reader)
            }
        }
        self = spec
    }

    func write(to text: inout Text) {
        func string(_ name: String) { if let value = strings[name] { text.string(name, value) } }
        func list(_ name: String) { if let values = lists[name], !values.isEmpty { text.strings(name, values) } }
        string("type")
        string("ipFamilyPolicy")
        list("ipFamilies")
        string("clusterIP")
        list("clusterIPs")
        string("externalName")
        string("loadBalancerIP")
        string("loadBalancerClass")
        for name in ["ports", "selector"] {
            if let value = texts[name] { text.member(name, value.description) }
        }
        others.write(to: &text)
    }
}

private struct Status {
    var ingress: [String] = []
    var others = Members()

    init() {}

    init(_ reader: inout JSONReader) throws(JSONError) {
        var status = Status()
        try reader.eachMember { reader, key throws(JSONError) in
            guard case "loadBalancer" = key else { return try status.others.keep(key, &reader) }
            if try reader.skipNull() { return }
            var ingress: [String] = []
            try reader.eachMember { reader, key throws(JSONError) in
                guard case "ingress" = key, try reader.peek() == .array else { return try reader.skipValue() }
                ingress += try reader.ips()
            }
            status.ingress = ingress.compactMap { IPAddress($0)?.description }
        }
        self = status
    }

    func write(to text: inout Text) {
        text.object("loadBalancer") { if !ingress.isEmpty { $0.member("ingress", Text.ips(ingress)) } }
        others.write(to: &text)
    }
}

/// Members that are kept as they came. One that comes again takes its place where both are of one length, else the last place.
private struct Members {
    private var list: [(name: String, value: JSONText)] = []

    mutating func keep(_ key: JSONKey, _ reader: inout JSONReader) throws(JSONError) {
        if try reader.skipNull() { return }
        let (name, value) = (key.string, try reader.readText())
        if let place = list.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
            if list[place].value.bytes.count == value.bytes.count {
                list[place].value = value
                return
            }
            list.remove(at: place)
        }
        list.append((name, value))
    }

    func write(to text: inout Text) {
        for (name, value) in list { text.member(name, value.description) }
    }
}

/// An object's text, put together from strings.
private struct Text {
    private var members: [String] = []

    init() {}

    init(kind: String, _ metadata: Metadata) {
        string("apiVersion", "v1")
        string("kind", kind)
        object("metadata") { metadata.write(to: &$0) }
    }

    var bytes: [UInt8] { Array(object.utf8) }
    private var object: String { "{\(members.joined(separator: ","))}" }

    mutating func member(_ name: String, _ value: String) { members.append("\(Self.quoted(name)):\(value)") }
    mutating func string(_ name: String, _ value: String) { member(name, Self.quoted(value)) }
    mutating func strings(_ name: String, _ values: [String]) {
        member(name, "[\(values.map(Self.quoted).joined(separator: ","))]")
    }
    mutating func object(_ name: String, _ write: (inout Text) -> Void) {
        var inside = Text()
        write(&inside)
        member(name, inside.object)
    }

    static func ips(_ ips: [String]) -> String { "[\(ips.map { #"{"ip":\#(quoted($0))}"# }.joined(separator: ","))]" }
    private static func quoted(_ text: String) -> String { JSONValue.string(text).text.description }
}

extension JSONReader {
    fileprivate typealias Member = (inout JSONReader, JSONKey) throws(JSONError) -> Void

    fileprivate var fault: JSONError { JSONError(.type, at: position, "") }

    fileprivate mutating func eachMember(_ body: Member) throws(JSONError) {
        try beginObject()
        var count = 0
        while let key = try nextKey(&count) { try body(&self, key) }
    }

    fileprivate mutating func expect(_ word: String) throws(JSONError) {
        if let found = try readNonEmptyString(), found != word { throw fault }
    }

    fileprivate mutating func ips() throws(JSONError) -> [String] {
        var ips: [String] = []
        try beginArray()
        var count = 0
        while try nextElement(&count) {
            try eachMember { reader, key throws(JSONError) in
                guard case "ip" = key else { return try reader.skipValue() }
                if let ip = try reader.readNonEmptyString() { ips.append(ip) }
            }
        }
        return ips
    }
}
