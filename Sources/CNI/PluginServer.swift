package import TandemAPI

/// Whom the commands ask.
package protocol PluginServer: AnyObject {
    /// Whom the plugin's own certificate is made out to; nil without one.
    var user: String? { get }

    /// Why the certificate names no user, as the end of a sentence about its subject; nil where it names one, or there is none.
    var nameFault: String? { get }

    /// The value of the answer's `result`. Blocks. Throws the error for the runtime.
    func call(_ method: TandemAPI.Method, _ params: JSONValue) throws(CNIError) -> JSONValue
}

/// One line of a server's, read as the answer to a call.
package enum ServerAnswer {
    case result(JSONValue)
    case error(APIError)

    /// Throws a decoding failure where it is no answer, or one to another call than that of the id. O(length).
    package init(_ line: [UInt8], to id: Int) throws(CNIError) {
        do throws(JSONError) {
            let answer = try JSONValue(parsing: line)
            // The server refuses an unreadable call without an id.
            guard answer["id"] == .number(String(id)) || answer["id"] == .null && answer["error"] != nil else {
                throw JSONError(.type, at: 0, "it is to a call that was not asked")
            }
            if let result = answer["result"] {
                self = .result(result)
            } else {
                self = .error(try APIError(decoding: answer["error"] ?? .null))
            }
        } catch {
            throw CNIError(.decodingFailure, "the server's answer can't be read: \(error)")
        }
    }
}
