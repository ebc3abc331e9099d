import Foundation
import TandemAPI
import TestSupport
import Testing
import YAMLDocuments

/// `kubectl`, which reads documents and prints them as JSON without a cluster.
struct Kubectl {
    static let isThere = Command.find("kubectl") != nil
    static let absence: Comment = "kubectl is not on this machine: docker/deps.sh --tests fetches it"
    private let path = Command.find("kubectl") ?? "kubectl"

    struct Reading {
        /// Of the documents before the first that it can't read.
        var objects: [JSONValue]
        var problem: String
    }

    /// Its label is the only thing that it adds.
    func read(_ text: [UInt8]) throws -> Reading {
        let directory = ScratchDirectory()
        let file = "\(directory.path)/manifests"
        try Data(text).write(to: URL(fileURLWithPath: file))
        let result = Command.run(
            path,
            [
                "label", "--kubeconfig=/dev/null", "--local", "--dry-run=client", "-o", "json", "-f", file,
                "added=here",
            ])
        return Reading(objects: try YAMLDocuments.read(result.output), problem: result.errors)
    }

    /// Its value of each document, nil for an unreadable one. Many in one process, as long as it can.
    func specs(_ documents: [String]) throws -> [JSONValue?] {
        var specs: [JSONValue?] = []
        while specs.count < documents.count {
            let stream = documents[specs.count...].joined(separator: "---\n")
            let reading = try read(Array(stream.utf8))
            specs += reading.objects.map { $0["spec"] ?? .null }
            if specs.count < documents.count { specs.append(nil) }
        }
        return specs
    }
}
