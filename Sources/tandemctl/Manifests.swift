import ClientOptions
import Foundation
import TandemAPI
import YAMLDocuments

/// Manifests as people write them: YAML or JSON, several documents, lists of objects, directories of files.
enum Manifests {
    /// Where a document is; `x.yaml, line 12 (document 2)`.
    struct Place: Sendable, CustomStringConvertible {
        var file: String
        var line: Int
        var document: Int

        var description: String { "\(file == "-" ? "standard input" : file), line \(line) (document \(document))" }
    }

    /// `-` stands for standard input. The objects of a list are where the list is.
    static func read(_ file: String) throws -> [(object: JSONValue, place: Place)] {
        let bytes: [UInt8]
        do throws(PlainFile.Fault) {
            bytes = try PlainFile.read(file)
        } catch {
            throw UsageError("-f: \(file) can't be read: \(error)")
        }
        do throws(YAMLFault) {
            return try YAMLDocuments.documents(bytes).enumerated().flatMap { index, document in
                let place = Place(file: file, line: document.line, document: index + 1)
                return flatten(document.value).map { ($0, place) }
            }
        } catch {
            let place = Place(file: file, line: error.line, document: error.document)
            throw UsageError("-f: \(place) is neither YAML nor JSON that can be read: \(error.problem)")
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
            guard access(path, R_OK | X_OK) == 0 else {
                throw UsageError("-f: \(path) can't be read: \(String(cString: strerror(errno)))")
            }
            do {
                let names =
                    isRecursive
                    ? try FileManager.default.subpathsOfDirectory(atPath: path)
                    : try FileManager.default.contentsOfDirectory(atPath: path)
                return names.filter(isManifest).sorted().map { "\(path)/\($0)" }.filter { file in
                    FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory) && !isDirectory.boolValue
                }
            } catch {
                throw UsageError("-f: the directory \(path) can't be read")
            }
        }
    }

    private static func isManifest(_ name: String) -> Bool {
        [".json", ".yaml", ".yml"].contains { name.hasSuffix($0) }
    }
}
