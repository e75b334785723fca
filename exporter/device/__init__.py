"""Devices on a link: what they are, which model they hold; and a stand-in for one."""
