/// How a line is written.
public enum LogFormat: String, Sendable, CaseIterable { case text, json }
