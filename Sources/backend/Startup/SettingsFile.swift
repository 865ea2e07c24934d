// The JSON file of --config: one object, every setting a string, unknown names refused with their place.

enum SettingsFile {
    /// The settings that the file names.
    static func read(_ path: String) throws(StartupFailure) -> [String: String] {
        let bytes = try FileReading.bytes(of: path)
        do throws(JSONFault) {
            return try settings(in: bytes)
        } catch {
            throw StartupFailure(file: path, error)
        }
    }

    private static func settings(in bytes: [UInt8]) throws(JSONFault) -> [String: String] {
        var reader = try MemberReader(try JSONReader.parse(bytes))
        var settings: [String: String] = [:]
        for name in Settings.defaults.keys.sorted() {
            // Longer than any path the system opens.
            settings[name] = try reader.optionalString(name, charactersUpTo: 4096)
        }
        try reader.finish()
        return settings
    }
}
