import ClientOptions
import Foundation
import TandemAPI
import YAMLDocuments

/// Manifests as people write them: YAML or JSON, several documents, lists of objects, directories of files.
enum Manifests {
    /// `-` stands for standard input.
    static func read(_ file: String) throws -> [JSONValue] {
        let bytes: [UInt8]
        do {
            let data =
                file == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: file))
            bytes = Array(data)
        } catch {
            throw UsageError("-f: \(file) can't be read: \(error.localizedDescription)")
        }
        do throws(YAMLFault) {
            return try YAMLDocuments.read(bytes).flatMap(flatten)
        } catch {
            throw UsageError("-f: \(file) is neither YAML nor JSON that can be read: \(error)")
        }
    }

    /// The objects of a list take its kind and version where they have neither, as with `kubectl`.
    private static func flatten(_ document: JSONValue) -> [JSONValue] {
        guard let items = document["items"]?.arrayValue else { return [document] }
        let kind = document["kind"]?.stringValue ?? ""
        let itemKind = kind.hasSuffix("List") ? String(kind.dropLast(4)) : kind
        return items.flatMap { item in
            var item = item
            if !itemKind.isEmpty, item["kind"] == nil, item["apiVersion"] == nil {
                item["kind"] = .string(itemKind)
                item["apiVersion"] = document["apiVersion"]
            }
            return flatten(item)
        }
    }

    /// The files that `-f` names: of a directory its `.json`, `.yaml` and `.yml`, in alphabetical order; those in its directories
    /// too where `isRecursive`.
    static func files(_ paths: [String], isRecursive: Bool) throws -> [String] {
        try paths.flatMap { path in
            var isDirectory: ObjCBool = false
            let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            guard path != "-", isThere, isDirectory.boolValue else { return [path] }
            do {
                let names =
                    isRecursive
                    ? try FileManager.default.subpathsOfDirectory(atPath: path)
                    : try FileManager.default.contentsOfDirectory(atPath: path)
                return names.filter(isManifest).sorted().map { "\(path)/\($0)" }.filter { file in
                    FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory) && !isDirectory.boolValue
                }
            } catch {
                throw UsageError("-f: \(path) can't be read: \(error.localizedDescription)")
            }
        }
    }

    private static func isManifest(_ name: String) -> Bool {
        [".json", ".yaml", ".yml"].contains { name.hasSuffix($0) }
    }
}
