import Foundation
import IPAM
import TandemServer
import Yams

/// The YAML file of `--config`: flags by their names.
enum SettingsFile {
    static func read(_ path: String) throws -> Settings {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationFault("config", "\(path) can't be read: \(error.localizedDescription)")
        }
        let document: Any?
        do {
            document = try Yams.load(yaml: text)
        } catch {
            throw ConfigurationFault("config", "\(path) is not YAML: \(error)")
        }
        guard let document else { return Settings() }
        guard let members = document as? [String: Any] else {
            throw ConfigurationFault("config", "\(path) must map flags to values, such as `secure-port: 8443`")
        }
        var values: [String: String] = [:]
        for (name, value) in members {
            guard let text = Self.text(value) else {
                throw ConfigurationFault("config", "\(path): \(name) must be a value, or a list of values")
            }
            values[name] = text
        }
        return Settings(values)
    }

    /// A scalar as it would stand on the command line; a list as its elements with commas between.
    private static func text(_ value: Any) -> String? {
        switch value {
        case let text as String: text
        case let flag as Bool: flag ? "true" : "false"
        case let number as Int: String(number)
        case let list as [Any]:
            list.allSatisfy({ !($0 is [Any]) }) ? list.compactMap(Self.text).joined(separator: ",") : nil
        default: nil
        }
    }
}
