"""What the design says, held against what physics and the parts' data sheets say."""
