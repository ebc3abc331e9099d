import Foundation

/// Development certificates, made once for all tests by the script that users run.
public final class Certificates: Sendable {
    public static let shared = Certificates()

    public let directory: String

    public static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../certs/generate.sh").standardized.path

    private init() {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("tandem-certs-\(getpid())").path
        let result = Command.run("bash", [Self.script, directory])
        precondition(result.status == 0, "certs/generate.sh failed: \(result.errors)")
    }

    public var ca: String { "\(directory)/ca.crt" }
    public func certificate(_ name: String) -> String { "\(directory)/\(name).crt" }
    public func key(_ name: String) -> String { "\(directory)/\(name).key" }
}
