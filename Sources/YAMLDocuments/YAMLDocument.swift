public import TandemAPI

/// A document's value, and the line of the text, from 1, at which it begins.
public typealias YAMLDocument = (value: JSONValue, line: Int)
