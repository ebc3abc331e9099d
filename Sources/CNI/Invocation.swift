import TandemAPI

/// The request in the runtime's environment variables, checked.
struct Invocation {
    enum Command: String, CaseIterable {
        case add = "ADD"
        case delete = "DEL"
        case check = "CHECK"
        case status = "STATUS"
        case collectGarbage = "GC"
        case version = "VERSION"

        /// The variables that the specification requires with it.
        var requiredVariables: [String] {
            switch self {
            case .add, .check: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
            case .delete: ["CNI_CONTAINERID", "CNI_IFNAME"]
            case .status, .collectGarbage, .version: []
            }
        }

        /// The first version of the specification that has it.
        var since: CNIVersion {
            switch self {
            case .add, .delete, .version: .version031
            case .check: .version040
            case .status, .collectGarbage: .version110
            }
        }
    }

    let command: Command
    /// Empty where the command needs none.
    let attachment: Attachment
    let arguments: CNIArguments

    /// `variable` looks one up; nil and empty are the same.
    init(_ variable: (String) -> String?) throws(CNIError) {
        let commands = Command.allCases.map(\.rawValue).joined(separator: ", ")
        guard let word = variable("CNI_COMMAND") else {
            throw .environment("CNI_COMMAND", "missing; a container runtime sets it to one of \(commands)")
        }
        guard let command = Command(rawValue: word) else {
            throw .environment("CNI_COMMAND", "\"\(word)\" is not one of \(commands)")
        }
        for name in command.requiredVariables where variable(name) == nil {
            throw .environment(name, "missing; \(word) needs it")
        }
        self.command = command
        attachment = Attachment(
            containerID: variable("CNI_CONTAINERID") ?? "", ifName: variable("CNI_IFNAME") ?? "")
        guard !command.requiredVariables.isEmpty else {
            arguments = CNIArguments()
            return
        }
        try Self.check(attachment)
        // DEL goes by the attachment: a fault for which ADD was refused must not prevent the removal of the sandbox.
        let text = variable("CNI_ARGS") ?? ""
        arguments = command == .delete ? CNIArguments(ofDelete: text) : try CNIArguments(text)
    }

    /// The specification's rules for both names.
    private static func check(_ attachment: Attachment) throws(CNIError) {
        let id = Array(attachment.containerID.utf8)
        let isID = id.allSatisfy { $0.isLetterOrDigit || "_.-".utf8.contains($0) }
        guard isID, id[0].isLetterOrDigit else {
            throw .environment(
                "CNI_CONTAINERID",
                "\"\(attachment.containerID)\" must start with a letter or digit and consist of letters, digits, "
                    + "'_', '.' and '-'")
        }
        let name = attachment.ifName
        let isName = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"/:".utf8.contains($0) }
        guard isName, name.utf8.count < 16, name != ".", name != ".." else {
            throw .environment(
                "CNI_IFNAME",
                "\"\(name)\" must have at most 15 characters, none of them '/', ':' or white space, and not be '.' or '..'"
            )
        }
    }
}

extension UInt8 {
    var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
