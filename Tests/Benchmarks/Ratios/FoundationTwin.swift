import Foundation
import TandemAPI

/// The sample call and its answer as Foundation's coders read and write them.
enum FoundationTwin {
    struct Call: Codable {
        struct Params: Codable { var service: Service }
        var jsonrpc: String
        var id: Int
        var method: String
        var params: Params
    }

    struct Reply: Codable {
        struct Result: Codable { var service: Service }
        var jsonrpc: String
        var id: Int
        var result: Result
    }

    struct Service: Codable {
        struct Metadata: Codable {
            var name: String?
            var namespace: String?
            var uid: String?
            var resourceVersion: String?
            var creationTimestamp: String?
        }

        struct Spec: Codable {
            var type: String?
            var ipFamilyPolicy: String?
            var ipFamilies: [String]?
            var clusterIP: String?
            var clusterIPs: [String]?
        }

        struct Status: Codable {
            struct LoadBalancer: Codable {}
            var loadBalancer: LoadBalancer?
        }

        var apiVersion: String?
        var kind: String?
        var metadata: Metadata?
        var spec: Spec?
        var status: Status?
    }

    private static let decoder = JSONDecoder()
    private static let encoder = JSONEncoder()

    static func decode(_ message: [UInt8]) -> Call {
        guard let call = try? decoder.decode(Call.self, from: Data(message)) else {
            preconditionFailure("Foundation does not read the sample call")
        }
        return call
    }

    /// The same answer as `service` makes.
    static func reply(of service: TandemAPI.Service) -> Reply {
        var writer = JSONWriter()
        service.write(to: &writer)
        guard let twin = try? decoder.decode(Service.self, from: Data(writer.bytes)) else {
            preconditionFailure("Foundation does not read the sample Service")
        }
        return Reply(jsonrpc: "2.0", id: 1, result: Reply.Result(service: twin))
    }

    static func encode(_ reply: Reply) -> [UInt8] {
        guard let data = try? encoder.encode(reply) else { preconditionFailure("Foundation does not write it") }
        return Array(data)
    }
}
