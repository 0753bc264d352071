"""What each editor needs to ask foretype: printed, written, and tried."""
