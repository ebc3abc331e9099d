/// The commit that was built, as `TANDEM_COMMIT` had it in the environment of the build; empty where it had none. Package.swift gives
/// it to C, as Swift knows no values from the command line.
const char *tandem_build_commit(void);
