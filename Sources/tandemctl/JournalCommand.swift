import ArgumentParser
import ClientOptions
import Ledger
import TandemAPI

struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Shows the changes in a data directory that its database does not have yet.",
        discussion: """
            A server writes each change to its journal first and brings the tables of tandem.db up to it in the background. This lists \
            the changes between the two, while the server runs or after it has ended, and changes nothing. `sqlite3 DIR/tandem.db` shows \
            all the others. Of servers over etcd every change is in etcd.

              tandemctl journal /var/lib/tandem
              tandemctl journal /var/lib/tandem -o json | jq .changes
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument { case table, json }

    @Option(name: .shortAndLong, help: "table, or json: a line for each call.")
    var output = Format.table

    @Argument(help: "The directory that is the server's --data-dir.", completion: .directory)
    var directory: String

    func run() throws {
        let journal: UnfoldedJournal
        do throws(LedgerError) {
            journal = try UnfoldedJournal.read(directory: directory)
        } catch {
            throw Failure(status: Failure.wrongUsage, "error: \(error.message.visible)")
        }
        switch output {
        case .json:
            for entry in journal.entries { print("\(JournalLine.json(entry).text)") }
        case .table where journal.entries.isEmpty:
            Output.complain("No changes: the tables have all of them, up to number \(journal.folded).")
        case .table:
            print(
                Output.table(["NUMBER", "CHANGE", "OBJECT", "HOLDS"], journal.entries.flatMap(JournalLine.rows)),
                terminator: "")
        }
    }
}

/// An entry of the journal in words.
enum JournalLine {
    /// A row for each change of it.
    static func rows(_ entry: UnfoldedJournal.Numbered) -> [[String]] {
        entry.proposal.changes.map { change in
            let (word, object, holds) = words(change)
            return ["\(entry.number)", word, object, holds.isEmpty ? "<none>" : holds]
        }
    }

    private static func words(_ change: Change) -> (word: String, object: String, holds: String) {
        switch change {
        case .put(let key, let form): ("put", text(key), Holding.text(form.holdings))
        case .delete(let key): ("delete", text(key), "")
        case .cool(let range, let node, _): ("cool", "\(range.shortText)", node.isEmpty ? "" : "of node \(node)")
        case .thaw(let range, _): ("thaw", "\(range.shortText)", "")
        case .markReleasing(let node): ("releasing", "nodes/\(node)", "")
        }
    }

    private static func text(_ key: ObjectKey) -> String { "\(key.kind.name)/\(key.key)" }

    /// `{"number":12,"expects":[…],"changes":[…]}`.
    static func json(_ entry: UnfoldedJournal.Numbered) -> JSONValue {
        [
            "number": .number(String(entry.number)),
            "expects": .array(entry.proposal.expectations.map(json)),
            "changes": .array(entry.proposal.changes.map(json)),
        ]
    }

    private static func json(_ expectation: Expectation) -> JSONValue {
        switch expectation {
        case .absent(let key): ["absent": .string(text(key))]
        case .unchanged(let key, let version):
            ["unchanged": .string(text(key)), "version": .string(String(version))]
        case .incarnation(let node, let created):
            ["incarnation": .string("nodes/\(node)"), "created": .string(String(created))]
        case .nodeEmpty(let node): ["nodeEmpty": .string("nodes/\(node)")]
        }
    }

    private static func json(_ change: Change) -> JSONValue {
        switch change {
        case .put(let key, let form):
            [
                "put": .string(text(key)), "holdings": .string(Holding.text(form.holdings)),
                "context": document(form.context), "document": document(form.document),
            ]
        case .delete(let key): ["delete": .string(text(key))]
        case .cool(let range, let node, let since):
            ["cool": .string(range.shortText), "node": .string(node), "since": .number(String(since))]
        case .thaw(let range, let version): ["thaw": .string(range.shortText), "version": .string(String(version))]
        case .markReleasing(let node): ["releasing": .string("nodes/\(node)")]
        }
    }

    /// A text that is no JSON, as none of this program's is, is shown as a string.
    private static func document(_ text: [UInt8]) -> JSONValue {
        guard !text.isEmpty else { return .null }
        return (try? JSONValue(parsing: text)) ?? .string(String(decoding: text, as: UTF8.self))
    }
}
