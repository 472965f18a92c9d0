"""What the network is to reach beside the style itself: results of the Gatys teacher, rendered pairs, recognition."""
