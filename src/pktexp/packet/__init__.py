"""The data that crosses from the BPF programs: enumerations, records and their labels."""
