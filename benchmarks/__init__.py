"""What durability costs here, measured beside the raw limit and the peers."""
