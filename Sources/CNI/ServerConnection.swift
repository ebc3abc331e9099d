import Glibc
import OpenSSLTLS
import TandemAPI

/// The server, asked again and again until it answers or the time is up.
///
/// Every call can be repeated: the server knows an attachment's allocation again, so that an answer which was lost on
/// its way is given once more. Not thread-safe; blocks.
final class ServerConnection {
    let context: TLSContext
    private let section: IPAMSection
    private let deadline: MonotonicInstant
    private var stream: BlockingTLSStream?
    private var lastID = 0

    /// Reads the certificates; connects with the first call.
    init(_ section: IPAMSection, deadline: MonotonicInstant) throws(CNIError) {
        self.section = section
        self.deadline = deadline
        var configuration = TLSClientConfiguration(
            caFile: section.caFile, serverName: section.host, applicationProtocols: ["jsonrpc"])
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

    /// The value of the answer's `result`. An error that a repetition may cure ends this only when the time is up.
    func call(_ method: TandemAPI.Method, _ params: JSONValue) throws(CNIError) -> JSONValue {
        var pause = Self.firstPauseMilliseconds
        while true {
            let failure: CNIError
            do throws(Attempt) {
                return try attempt(method, params)
            } catch {
                guard error.mayBeRepeated else { throw error.failure }
                failure = error.failure
            }
            guard deadline.millisecondsLeft > pause else { throw failure }
            usleep(UInt32(pause) * 1_000)
            pause = min(pause * 2, Self.longestPauseMilliseconds)
        }
    }

    private static let firstPauseMilliseconds = 20
    private static let longestPauseMilliseconds = 1_000
    private static let longestAnswer = 64 << 20

    /// How one try went wrong.
    private struct Attempt: Error {
        var failure: CNIError
        var mayBeRepeated: Bool
    }

    private func attempt(_ method: TandemAPI.Method, _ params: JSONValue) throws(Attempt) -> JSONValue {
        let answer: [UInt8]
        do throws(BlockingTLSStream.Failure) {
            answer = try exchange(method, params)
        } catch {
            stream = nil
            let isRefused = error.code == .refused
            throw Attempt(
                failure: CNIError(
                    isRefused ? .refused(.unauthenticated) : .tryAgainLater,
                    "the server \(section.host) port \(section.port): \(error.message)"),
                mayBeRepeated: !isRefused)
        }
        return try result(of: answer)
    }

    private func exchange(
        _ method: TandemAPI.Method, _ params: JSONValue
    ) throws(BlockingTLSStream.Failure) -> [UInt8] {
        let stream = try connection()
        lastID += 1
        var params = params
        params["timeoutMs"] = .number(String(max(1, deadline.millisecondsLeft)))
        let request: JSONValue = [
            "jsonrpc": "2.0", "id": .number(String(lastID)), "method": .string(method.rawValue), "params": params,
        ]
        try stream.write(request.text.bytes + [UInt8(ascii: "\n")], deadline: deadline)
        return try stream.readLine(maximum: Self.longestAnswer, deadline: deadline)
    }

    private func connection() throws(BlockingTLSStream.Failure) -> BlockingTLSStream {
        if let stream { return stream }
        let opened = try BlockingTLSStream(
            context, host: section.host, port: section.port, serverName: section.host, deadline: deadline)
        stream = opened
        return opened
    }

    private func result(of line: [UInt8]) throws(Attempt) -> JSONValue {
        let error: APIError
        do throws(JSONError) {
            let answer = try JSONValue(parsing: line)
            if let result = answer["result"] { return result }
            error = try APIError(decoding: answer["error"] ?? .null)
        } catch {
            throw Attempt(
                failure: CNIError(.decodingFailure, "the server's answer can't be read: \(error)"), mayBeRepeated: false
            )
        }
        // A full range is told at once: within a call's time nothing is given back but by chance.
        let mayBeRepeated = (error.isRetryable && error.reason != "RangeFull") || error.status == .deadlineExceeded
        throw Attempt(failure: CNIError(error), mayBeRepeated: mayBeRepeated)
    }
}
