struct LoadFailure: Error, CustomStringConvertible {
    var description: String
}
