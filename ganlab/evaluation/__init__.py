"""What generators are measured with: pictures and features side by side, numbers with their protocols."""
