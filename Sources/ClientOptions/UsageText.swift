public import ArgumentParser

extension ParsableCommand {
    /// The message for an error of the command line, or the help that was asked for. In the line `Usage:` of an error all flags stand as
    /// `[<options>]`: the parser lists those of some commands, which fills a screen and hides the error. `--help` has the list.
    public static func usageText(for error: any Error) -> String {
        let text = fullMessage(for: error)
        guard exitCode(for: error) != .success else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.hasPrefix("Usage: ") else { return String(line) }
            var isFirst = true
            return String(line).replacing(/(?: \[-[^\]]*\])+/) { _ in
                defer { isFirst = false }
                return isFirst ? " [<options>]" : ""
            }
        }.joined(separator: "\n")
    }
}
