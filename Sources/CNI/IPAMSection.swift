import Addressing
import TandemAPI

/// The `ipam` section: the servers, the client's certificate, and the members of every result.
struct IPAMSection {
    /// In the order in which they are tried; at least one.
    let servers: [ServerAddress]
    let caFile: String
    let certFile: String?
    let keyFile: String?
    /// nil for the node that the certificate is made out to.
    let node: String?
    let routes: [Route]
    let dns: JSONValue?
    /// How long the whole command may take.
    let timeoutMilliseconds: Int

    private static let members: Set<String> = [
        "type", "server", "caFile", "certFile", "keyFile", "node", "routes", "dns", "timeoutMs",
    ]

    /// `undoes`: only the way to the server is read. A fault for which ADD is refused must not prevent the removal of a sandbox.
    init(_ json: JSONValue, undoes: Bool) throws(CNIError) {
        // A member that was mistyped must not pass silently.
        if !undoes, let other = json.objectValue?.members.first(where: { !Self.members.contains($0.name) }) {
            throw .init(
                .unsupportedField,
                "ipam.\(other.name): \(other.value.text) is not supported; there are "
                    + Self.members.sorted().joined(separator: ", "))
        }
        servers = try Self.servers(json)
        guard let caFile = try json.string("caFile", in: "ipam.") else {
            throw .configuration("ipam.caFile", "missing; it names the CA that signed the server's certificate, PEM")
        }
        self.caFile = caFile
        certFile = try json.string("certFile", in: "ipam.")
        keyFile = try json.string("keyFile", in: "ipam.")
        guard (certFile == nil) == (keyFile == nil) else {
            throw .configuration(
                certFile == nil ? "ipam.certFile" : "ipam.keyFile",
                "missing; a certificate and its key go together")
        }
        guard !undoes else {
            node = json["node"]?.stringValue
            (dns, routes) = (nil, [])
            timeoutMilliseconds = (try? Self.timeout(json["timeoutMs"])) ?? Self.usualTimeout
            return
        }
        node = try json.string("node", in: "ipam.")
        dns = try json.object("dns", in: "ipam.")
        var routes: [Route] = []
        for (index, route) in (try json.array("routes", in: "ipam.") ?? []).enumerated() {
            routes.append(try Route(route, field: "ipam.routes[\(index)]"))
        }
        self.routes = routes
        timeoutMilliseconds = try Self.timeout(json["timeoutMs"])
    }

    /// `server`: a list with commas between, or an array.
    private static func servers(_ json: JSONValue) throws(CNIError) -> [ServerAddress] {
        let isArray = json["server"]?.arrayValue != nil
        let elements = isArray ? try json.strings("server", in: "ipam.") : nil
        let text = isArray ? nil : try json.string("server", in: "ipam.")
        do throws(ServerAddress.ListFault) {
            if let elements { return try ServerAddress.list(elements.map { $0[...] }) }
            return try ServerAddress.list(text ?? "127.0.0.1:8443")
        } catch {
            throw .configuration("ipam.server", "\(error)")
        }
    }

    private static let usualTimeout = 10_000

    private static func timeout(_ value: JSONValue?) throws(CNIError) -> Int {
        guard let value, value != .null else { return usualTimeout }
        guard let milliseconds = value.intValue, (1...600_000).contains(milliseconds) else {
            throw .configuration("ipam.timeoutMs", "must be a whole number from 1 to 600000")
        }
        return milliseconds
    }
}

/// A route that the pod gets, as configured.
struct Route {
    private static let members: Set<String> = ["dst", "gw", "mtu", "advmss", "priority", "table", "scope"]

    private let json: JSONValue

    init(_ json: JSONValue, field: String) throws(CNIError) {
        guard let members = json.objectValue?.members else { throw .configuration(field, "must be an object") }
        if let other = members.first(where: { !Self.members.contains($0.name) }) {
            throw .init(.unsupportedField, "\(field).\(other.name): \(other.value.text) is not supported")
        }
        guard let text = try json.string("dst", in: field + ".") else {
            throw .configuration("\(field).dst", "missing; for example 0.0.0.0/0 or ::/0")
        }
        do throws(CIDR.ParseError) {
            _ = try CIDR(parsing: text)
        } catch {
            throw .configuration("\(field).dst", "\"\(text)\": \(error)")
        }
        if let gateway = try json.string("gw", in: field + "."), IPAddress(gateway) == nil {
            throw .configuration("\(field).gw", "\"\(gateway)\" is no IP address")
        }
        self.json = json
    }

    /// The routes that a result of `version` can have: before 1.1.0 a route had no more than `dst` and `gw`.
    func json(_ version: CNIVersion) -> JSONValue {
        guard version < .version110 else { return json }
        var route: JSONValue = [:]
        for name in ["dst", "gw"] { route[name] = json[name] }
        return route
    }
}
