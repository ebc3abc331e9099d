import Glibc
import OpenSSLTLS
import TandemAPI

/// The servers, asked one after the other and again until one answers or the time is up.
///
/// Every call can be repeated, and at any of them: an attachment's allocation is known again, so that an answer which was
/// lost on its way is given once more. Not thread-safe; blocks.
final class ServerConnection: PluginServer {
    private let context: TLSContext
    private let servers: [ServerAddress]
    private let deadline: MonotonicInstant
    private var stream: BlockingTLSStream?
    private var lastID = 0

    /// The rest of this round: servers, and addresses of the one that was looked up last.
    private var serversLeft: ArraySlice<ServerAddress>
    private var peersLeft: ArraySlice<PeerAddress> = []
    /// There is another to go to where one does not answer.
    private var hasOthers: Bool
    private var failures = Failures()

    /// Reads the certificates; connects with the first call.
    init(_ section: IPAMSection, deadline: MonotonicInstant) throws(CNIError) {
        servers = section.servers
        serversLeft = section.servers[...]
        hasOthers = section.servers.count > 1
        self.deadline = deadline
        // Each connection expects the name of its own server.
        var configuration = TLSClientConfiguration(
            caFile: section.caFile, serverName: section.servers[0].host, applicationProtocols: ["jsonrpc"])
        if let certificate = section.certFile, let key = section.keyFile {
            configuration.identity = TLSIdentity(certificateChainFile: certificate, privateKeyFile: key)
        }
        OpenSSLLibrary.prepareWithoutConfiguration()
        do throws(TLSError) {
            context = try TLSContext(client: configuration)
        } catch {
            throw .configuration("ipam", error.message)
        }
    }

    var user: String? { context.ownCertificate?.commonName }
    var nameFault: String? { context.ownCertificate?.nameFault }

    /// An error that another server or a repetition may cure ends this only when the
    /// time is up.
    func call(_ method: TandemAPI.Method, _ params: JSONValue) throws(CNIError) -> JSONValue {
        var pause = Self.firstPauseMilliseconds
        while true {
            if let result = try attempt(method, params) { return result }
            if deadline.millisecondsLeft > 0, !serversLeft.isEmpty || !peersLeft.isEmpty { continue }
            // Certificates must change first.
            guard !failures.areAllRefusals, deadline.millisecondsLeft > pause else { throw failures.error }
            usleep(UInt32(pause) * 1_000)
            pause = min(pause * 2, Self.longestPauseMilliseconds)
            serversLeft = servers[...]
        }
    }

    private static let firstPauseMilliseconds = 20
    private static let longestPauseMilliseconds = 1_000
    /// A page of a list has 8 MiB and an object more.
    private static let longestAnswer = 16 << 20

    /// nil where it went wrong in a way that may be better elsewhere or later, which is noted.
    private func attempt(_ method: TandemAPI.Method, _ params: JSONValue) throws(CNIError) -> JSONValue? {
        guard let stream = connection() else { return nil }
        let answer: [UInt8]
        do throws(TLSStreamFailure) {
            answer = try exchange(stream, method, params)
        } catch {
            self.stream = nil
            failures.note(stream.peer, error)
            return nil
        }
        let error: APIError
        do throws(CNIError) {
            switch try ServerAnswer(answer, to: lastID) {
            case .result(let result): return result
            case .error(let answered): error = answered
            }
        } catch {
            self.stream = nil
            throw error
        }
        // A full range is told at once: within a call's time nothing is given back but by chance.
        guard (error.isRetryable && error.reason != "RangeFull") || error.status == .deadlineExceeded else {
            throw CNIError(error)
        }
        if hasOthers { self.stream = nil }
        failures.note(stream.peer, error)
        return nil
    }

    private func exchange(
        _ stream: BlockingTLSStream, _ method: TandemAPI.Method, _ params: JSONValue
    ) throws(TLSStreamFailure) -> [UInt8] {
        // One that does not answer costs half of the time that is left, and no more.
        let left = deadline.millisecondsLeft
        let deadline = hasOthers ? MonotonicInstant.now.advanced(milliseconds: left / 2) : deadline
        lastID += 1
        var params = params
        params["timeoutMs"] = .number(String(max(1, deadline.millisecondsLeft)))
        let request: JSONValue = [
            "jsonrpc": "2.0", "id": .number(String(lastID)), "method": .string(method.rawValue), "params": params,
        ]
        try stream.write(request.text.bytes + [UInt8(ascii: "\n")], deadline: deadline)
        return try stream.readLine(maximum: Self.longestAnswer, deadline: deadline)
    }

    // MARK: Connecting

    /// The connection that there is, else one to the first server left in this round that shakes hands.
    private func connection() -> BlockingTLSStream? {
        if stream == nil {
            stream = BlockingTLSStream.connect(context, deadline: deadline, next: nextPeer) {
                failures.note($0, $1)
            }
        }
        return stream
    }

    private func nextPeer() -> PeerAddress? {
        while peersLeft.isEmpty, let server = serversLeft.popFirst() {
            do throws(PeerAddress.NotFound) {
                peersLeft = try PeerAddress.all(of: server.host, port: server.port)[...]
                if peersLeft.count > 1 { hasOthers = true }
            } catch {
                failures.note(server, error)
            }
        }
        return peersLeft.popFirst()
    }
}

/// The last failure of each server, in the order of the first attempts.
private struct Failures {
    private enum Kind {
        /// No connection, or no answer.
        case silence
        /// TLS was refused by one side.
        case refusal
        /// An answer of the server's own.
        case answer
    }

    private var last: [(who: String, failure: CNIError, kind: Kind)] = []

    /// It would be so again.
    var areAllRefusals: Bool { last.allSatisfy { $0.kind == .refusal } }

    mutating func note(_ server: ServerAddress, _ failure: PeerAddress.NotFound) {
        note("\(server)", CNIError(.tryAgainLater, "can't find the host: \(failure)"), .silence)
    }

    mutating func note(_ peer: PeerAddress, _ failure: TLSStreamFailure) {
        if failure.kind == .refused {
            note("\(peer)", CNIError(.refused(.unauthenticated), failure.message), .refusal)
        } else {
            note("\(peer)", CNIError(.tryAgainLater, failure.message), .silence)
        }
    }

    mutating func note(_ peer: PeerAddress, _ answer: APIError) { note("\(peer)", CNIError(answer), .answer) }

    private mutating func note(_ who: String, _ failure: CNIError, _ kind: Kind) {
        if let index = last.firstIndex(where: { $0.who == who }) {
            last[index] = (who, failure, kind)
        } else {
            last.append((who, failure, kind))
        }
    }

    var error: CNIError {
        guard let first = last.first else { return CNIError(.tryAgainLater, "no server answered in time") }
        guard last.count == 1 else {
            let all = last.map { "\($0.who): \($0.failure.message)" }.joined(separator: "; ")
            return CNIError(areAllRefusals ? first.failure.code : .tryAgainLater, "no server answered: \(all)")
        }
        guard first.kind != .answer else { return first.failure }
        return CNIError(first.failure.code, "the server \(first.who): \(first.failure.message)")
    }
}
