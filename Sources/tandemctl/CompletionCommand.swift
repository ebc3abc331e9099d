import ArgumentParser
import TandemAPI

/// Run by `Tandemctl`: the script is of all its commands.
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Prints a script with which a shell completes commands, flags, kinds, and names from the server.",
        discussion: """
              bash:  source <(tandemctl completion bash)
              zsh:   tandemctl completion zsh > "${fpath[1]}/_tandemctl"
              fish:  tandemctl completion fish > ~/.config/fish/completions/tandemctl.fish
            """)

    @Argument(help: "bash, zsh or fish.", completion: .list(["bash", "zsh", "fish"]))
    var shell: Shell

    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish

        var ofParser: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }
}
