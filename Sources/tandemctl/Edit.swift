import ArgumentParser
import ClientOptions
import Glibc
import TandemAPI
import TandemClient
import YAMLDocuments

struct Edit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Opens a Service in an editor, and updates it with the edited text.",
        discussion: """
            The editor is that of TANDEM_EDITOR, KUBE_EDITOR, VISUAL or EDITOR, else vi. Where the server refuses the update, or \
            another client changed the Service meanwhile, the text is kept in a file.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Argument(help: "service/NAME, or service NAME.", completion: .custom(NameCompletion.complete))
    var resources: [String] = []

    func validate() throws {
        let selections = try Selection.parse(resources)
        guard selections.allSatisfy({ $0.kind == .object(.service) }) else {
            throw ValidationError(
                "Only Services can be edited: nodes and pods keep their addresses until they are deleted.")
        }
        guard selections.count == 1, selections[0].names.count == 1 else {
            throw ValidationError("Give one Service: service/NAME.")
        }
    }

    func run() async throws {
        let name = try Selection.parse(resources)[0].names[0]
        let namespace = try scope.name(connection)
        let label = "service/\(name)"
        let answer = try await connection.use {
            try await $0.call(.getService, ObjectKind.service.naming(name, in: namespace))
        }
        let before = answer["service"] ?? .null
        let text = Self.introduction + YAMLDocuments.write(before)
        let edited = try Self.edit(text)
        guard edited != text else { return print("Edit cancelled, no changes made.") }
        do {
            let after = try Self.read(edited, as: before)
            guard after != before else { return print("Edit cancelled, no changes made.") }
            let updated = try await connection.use { try await $0.call(.updateServiceIPs, ["service": after]) }
            let released = (updated["released"]?.arrayValue ?? []).compactMap(\.stringValue)
            print("\(label) edited\(released.isEmpty ? "" : ": \(released.joined(separator: ", ")) released")".visible)
        } catch {
            Output.complain("Your text is kept in \(try Self.keep(edited))")
            throw error
        }
    }

    private static let introduction = """
        # The Service as it is. Save it with your changes to update it; leave it as it is, or empty, to cancel.
        #

        """

    private static func edit(_ text: String) throws -> String {
        let variables = ["TANDEM_EDITOR", "KUBE_EDITOR", "VISUAL", "EDITOR"]
        let editor = variables.lazy.compactMap { ProcessEnvironment[$0] }.first ?? "vi"
        return try Child.withFolder { folder in
            let file = "\(folder)/service.yaml"
            do {
                try PlainFile.replace(file, with: text)
                // As a shell reads it: an editor may have flags.
                let status = try Child.run(["sh", "-c", "\(editor) \"$1\"", "sh", file])
                guard status == 0 else {
                    throw Failure(
                        status: Failure.wrongUsage, "error: the editor \(editor) ended with \(status)".visible)
                }
                return String(decoding: try PlainFile.read(file), as: UTF8.self)
            } catch let fault as PlainFile.Fault {
                throw UsageError("\(file): \(fault)")
            }
        }
    }

    /// An empty text is an unchanged one: it cancels.
    private static func read(_ text: String, as before: JSONValue) throws -> JSONValue {
        let documents: [JSONValue]
        do throws(YAMLFault) {
            documents = try YAMLDocuments.read(text)
        } catch {
            throw UsageError("the text is no YAML: \(error)")
        }
        guard let after = documents.first else { return before }
        for member in ["namespace", "name"] where after["metadata"]?[member] != before["metadata"]?[member] {
            throw UsageError(
                "metadata.\(member) can't be changed: apply the Service under its new name, and delete the old one")
        }
        return after
    }

    private static func keep(_ text: String) throws -> String {
        let path = "\(ProcessEnvironment["TMPDIR"] ?? "/tmp")/tandemctl-edit-\(getpid()).yaml"
        do throws(PlainFile.Fault) {
            try PlainFile.replace(path, with: text)
        } catch {
            throw UsageError("\(path) can't be written: \(error)")
        }
        return path
    }
}
