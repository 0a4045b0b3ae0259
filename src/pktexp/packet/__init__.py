"""Data shared with the BPF programs: enumerations, record types, and the labels of both."""
