import IPAM
import TandemAPI
import TandemServer
import YAMLDocuments

/// The YAML file of `--config`: flags by their names.
enum SettingsFile {
    /// In bytes; no setting's name is half as long.
    private static let longestName = 64

    static func read(_ path: String) throws -> Settings {
        let documents = try documents(path)
        guard documents.count <= 1 else { throw ConfigurationFault("config", "\(path) has more than one document") }
        guard let document = documents.first else { return Settings() }
        guard let members = document.objectValue?.members else {
            throw ConfigurationFault("config", "\(path) must map flags to values, such as `secure-port: 8443`")
        }
        var values: [String: String] = [:]
        for (name, value) in members {
            // To hash a string takes the square of the combining marks that it has in a row.
            guard name.utf8.count <= longestName else {
                throw ConfigurationFault("config", "\(path): \(name.cut(toBytes: longestName)): no such setting")
            }
            guard let text = Self.text(value) else {
                throw ConfigurationFault("config", "\(path): \(name) must be a value, or a list of values")
            }
            values[name] = text
        }
        return Settings(values)
    }

    /// Whether it is `tandemctl`'s, which is named by the same variable.
    static func isOfContexts(_ path: String) throws -> Bool {
        let members = try documents(path).first?.objectValue
        return members?["contexts"] != nil || members?["current-context"] != nil
    }

    private static func documents(_ path: String) throws -> [JSONValue] {
        let bytes: [UInt8]
        do throws(PlainFile.Fault) {
            bytes = try PlainFile.read(path)
        } catch {
            throw ConfigurationFault("config", "\(path) can't be read: \(error)")
        }
        do throws(YAMLFault) {
            return try YAMLDocuments.read(bytes)
        } catch {
            throw ConfigurationFault("config", "\(path) is no YAML that can be read: \(error)")
        }
    }

    /// A scalar as it would stand on the command line; a list as its elements with commas between.
    private static func text(_ value: JSONValue) -> String? {
        guard case .array(let list) = value else { return word(value) }
        let words = list.compactMap(word)
        return words.count == list.count ? words.joined(separator: ",") : nil
    }

    private static func word(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "true" : "false"
        case .number(let digits): digits
        case .null, .array, .object: nil
        }
    }
}
