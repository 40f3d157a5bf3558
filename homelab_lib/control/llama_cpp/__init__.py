"""llama.cpp's server, and the RPC servers that offer it the cards of other machines."""
