import ArgumentParser
import TandemAPI

/// The columns and format of `get`.
struct TableOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp(stringLiteral: OutputFormat.help + ". (default: table)"),
        completion: .list(OutputFormat.words), transform: OutputFormat.init(argument:))
    var output: OutputFormat?

    @Flag(help: "Tables without their titles.")
    var noHeaders = false

    @Flag(help: "Tables with the labels of each object.")
    var showLabels = false

    var format: OutputFormat { output ?? .table }

    func columns(of kind: Kind, withNamespace: Bool) -> [Column] {
        if case .customColumns(let columns) = format { return columns }
        let columns = Columns.of(kind, isWide: format.isWide, withNamespace: withNamespace)
        return showLabels ? columns + [Columns.labels] : columns
    }

    func table(_ columns: [Column], _ objects: [JSONValue]) -> String {
        let rows = objects.map { object in columns.map { $0.text(object) } }
        let lines = noHeaders ? rows : [columns.map(\.title)] + rows
        return Output.lines(lines, widths: Output.widths(lines))
    }
}
