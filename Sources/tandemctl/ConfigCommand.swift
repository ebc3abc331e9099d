import ArgumentParser
import ClientOptions
import Foundation
import TandemAPI
import YAMLDocuments

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Shows and sets contexts: a server, a certificate and a namespace under a name.",
        discussion: "Contexts are in the YAML file that TANDEM_CONFIG names, else in ~/.tandem/config.",
        subcommands: [
            View.self, GetContexts.self, CurrentContext.self, UseContext.self, SetContext.self, DeleteContext.self,
        ])

    struct View: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the file.")

        func run() throws { print(YAMLDocuments.write(try Contexts.read().document), terminator: "") }
    }

    struct GetContexts: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the contexts as a table.")

        func run() throws {
            let contexts = try Contexts.read()
            let rows = contexts.all.map { context in
                [
                    context.name == contexts.current ? "*" : "", context.name, context.server ?? "",
                    context.certFile ?? "<none>", context.namespace ?? "",
                ]
            }
            print(Output.table(["CURRENT", "NAME", "SERVER", "CERTIFICATE", "NAMESPACE"], rows), terminator: "")
        }
    }

    struct CurrentContext: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows the name of the current context.")

        func run() throws {
            guard let name = try Contexts.read().current else {
                throw Failure(status: Failure.refused, "error: current-context is not set")
            }
            print(name.visible)
        }
    }

    struct UseContext: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a context the current one.")

        @Argument(help: "Its name.", completion: .contexts) var name: String

        func run() throws {
            var contexts = try Contexts.read()
            _ = try contexts.place(of: name)
            contexts.current = name
            try contexts.write()
            print("Switched to context \"\(name)\".".visible)
        }
    }

    struct SetContext: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Creates a context, or changes the given settings of one.",
            discussion: "The first context becomes the current one.")

        @Flag(help: "The current context.") var current = false
        @Option(help: ArgumentHelp("The server, or several with commas between.", valueName: "host:port,..."))
        var server: String?
        @Option(help: ArgumentHelp("The CA of the server's certificate, PEM.", valueName: "file"), completion: .file())
        var caFile: String?
        @Option(help: ArgumentHelp("The user's certificate, PEM.", valueName: "file"), completion: .file())
        var certFile: String?
        @Option(help: ArgumentHelp("Its key, PEM.", valueName: "file"), completion: .file())
        var keyFile: String?
        @Option(
            name: [.customShort("n"), .long], help: "The namespace where none is given.")
        var namespace: String?
        @Argument(help: "Its name, unless --current is given.", completion: .contexts) var name: String?

        func validate() throws {
            guard current != (name != nil) else { throw ValidationError("Give the name of a context, or --current.") }
        }

        func run() throws {
            var contexts = try Contexts.read()
            guard let name = name ?? contexts.current else {
                throw UsageError("--current: there is no current context")
            }
            let isNew = contexts[name] == nil
            if isNew { contexts.all.append(Context(name: name)) }
            let place = try contexts.place(of: name)
            for (member, value) in zip(Context.members, [server, caFile, certFile, keyFile, namespace]) {
                guard let value else { continue }
                let folder = FileManager.default.currentDirectoryPath
                let isRelative = member.isFile && !value.hasPrefix("/")
                contexts.all[place][keyPath: member.path] = isRelative ? "\(folder)/\(value)" : value
            }
            contexts.current = contexts.current ?? name
            try contexts.write()
            print("Context \"\(name)\" \(isNew ? "created" : "modified").".visible)
        }
    }

    struct DeleteContext: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deletes a context.")

        @Argument(help: "Its name.", completion: .contexts) var name: String

        func run() throws {
            var contexts = try Contexts.read()
            contexts.all.remove(at: try contexts.place(of: name))
            if contexts.current == name { contexts.current = nil }
            try contexts.write()
            print("Context \"\(name)\" deleted.".visible)
        }
    }
}

extension Contexts {
    fileprivate func place(of name: String) throws -> Int {
        guard let place = all.firstIndex(where: { $0.name == name }) else {
            let near = name.nearest(of: all.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
            throw Failure(
                status: Failure.refused, "error: \(path) has no context \"\(name)\"\(near)".visible)
        }
        return place
    }
}

extension CompletionKind {
    fileprivate static let contexts = CompletionKind.custom { _, _, _ in
        (try? Contexts.read().all.map(\.name)) ?? []
    }
}
