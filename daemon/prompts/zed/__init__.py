"""Zed's prompt formats: nineteen of one enum, and Zeta1 and Zeta3 beside them; `table.py` lists them."""
