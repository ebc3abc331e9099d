import ArgumentParser

/// `--dry-run`, with the values that `kubectl` has.
struct DryRunOption: ParsableArguments {
    @Option(
        name: .customLong("dry-run"),
        help: ArgumentHelp(
            "server: decide and check everything, store nothing; the same without a value. none: store it.",
            valueName: "server|none"),
        completion: .list(["server", "none"]),
        transform: { word in
            switch word {
            case "server": true
            case "none": false
            case "client": throw ValidationError("the server alone can tell: give --dry-run=server")
            default: throw ValidationError("there are server and none")
            }
        })
    var value: Bool?

    var isGiven: Bool { value ?? false }
}
