import NIOHTTP1

/// The purpose of a request.
enum Route: Equatable {
    /// To the page, for a ticket.
    case entrance
    case asset(Asset)
    /// Which servers there are.
    case servers
    /// A JSON-RPC message for the server of that number.
    case calls(Int)
    /// Changes of it, as they come.
    case changes(Int)
    case look(Int, ServerLink.Look)
}

/// Why a request is not answered.
struct Refusal: Error, Equatable {
    var status: HTTPResponseStatus
    var text: String
    /// Of a wrong method: the right one.
    var allow: String?
}

/// Judges requests by their heads alone, before anything is done for them.
///
/// The browser has no certificate: calls with the user's own are guarded by the token in the address, and by the limits of a
/// page of another site. It can't name this host as its own (a name that was made to lead here is refused by `Host`), it can't
/// hide where a request comes from, and its frames show nothing.
struct Gate: Sendable {
    let token: Token
    let port: Int
    let servers: Int
    let ticket: Ticket

    init(token: Token, port: Int, servers: Int, ticket: Ticket = Ticket()) {
        (self.token, self.port, self.servers, self.ticket) = (token, port, servers, ticket)
    }

    /// Where the page is, on this host.
    var path: String { "/\(token.text)/" }

    /// Bytes of a body.
    static let maximumBodyBytes = 64 << 10

    func route(_ head: HTTPRequestHead) -> Result<Route, Refusal> {
        guard let host = host(head) else {
            return .failure(
                Refusal(status: .misdirectedRequest, text: "this is 127.0.0.1:\(port), and no other host"))
        }
        let path = head.uri.prefix { $0 != "?" && $0 != "#" }
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        if parts.count == 1, head.method == .GET, ticket.redeem(parts[parts.startIndex]) { return .success(.entrance) }
        guard let first = parts.popFirst(), token.isEqual(to: first), !parts.isEmpty, let found = found(Array(parts))
        else {
            return .failure(
                Refusal(status: .notFound, text: "there is nothing here; the address is the one that was printed"))
        }
        guard isOwn(head, host, isPage: found == .asset(.index)) else {
            return .failure(Refusal(status: .forbidden, text: "asked for by a page of another site"))
        }
        return checked(head, found)
    }

    /// As the browser knows this server; nil for a name that is another one's.
    private func host(_ head: HTTPRequestHead) -> String? {
        let hosts = head.headers["host"]
        guard hosts.count == 1 else { return nil }
        let host = hosts[0].lowercased()
        return ["127.0.0.1:\(port)", "localhost:\(port)"].contains(host) ? host : nil
    }

    /// The page itself may be opened from anywhere: its address has the token.
    private func isOwn(_ head: HTTPRequestHead, _ host: String, isPage: Bool) -> Bool {
        guard head.headers["origin"].allSatisfy({ $0.lowercased() == "http://\(host)" }) else { return false }
        let sites = head.headers["sec-fetch-site"]
        if isPage, head.headers["sec-fetch-dest"] == ["document"] { return true }
        return sites.allSatisfy { $0 == "same-origin" || $0 == "none" }
    }

    private func found(_ parts: [Substring]) -> Route? {
        switch parts.count {
        case 1 where parts[0] == "servers": return .servers
        case 1: return Asset(rawValue: parts[0].isEmpty ? "index.html" : String(parts[0])).map { .asset($0) }
        case 3:
            guard parts[0] == "servers", let number = Int(parts[1]), String(number) == parts[1],
                (0..<servers).contains(number)
            else { return nil }
            switch parts[2] {
            case "rpc": return .calls(number)
            case "changes": return .changes(number)
            default: return ServerLink.Look(rawValue: String(parts[2])).map { .look(number, $0) }
            }
        default: return nil
        }
    }

    private func checked(_ head: HTTPRequestHead, _ route: Route) -> Result<Route, Refusal> {
        let method: HTTPMethod = if case .calls = route { .POST } else { .GET }
        guard head.method == method else {
            return .failure(
                Refusal(status: .methodNotAllowed, text: "this is to be asked by \(method)", allow: method.rawValue))
        }
        guard method == .POST else { return .success(route) }
        // A form of another site can't send this type.
        guard head.headers["content-type"].map({ $0.lowercased() }) == ["application/json"] else {
            return .failure(Refusal(status: .unsupportedMediaType, text: "a call is application/json"))
        }
        return .success(route)
    }
}
