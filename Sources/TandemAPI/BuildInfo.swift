import CBuildInfo

/// Which Tandem this is.
public enum BuildInfo {
    /// Of the release, such as `0.1.0`.
    public static let version = OpenRPC.version

    /// The commit that was built, such as `1f0c3ab29d51`, with `-dirty` behind it where files were changed; nil where the build was not
    /// told.
    public static let commit: String? = {
        let text = String(cString: tandem_build_commit())
        return text.isEmpty ? nil : text
    }()

    /// Both, for people: `0.1.0 (1f0c3ab29d51)`.
    public static let text = version + (commit.map { " (\($0))" } ?? "")
}
